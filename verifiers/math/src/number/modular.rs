//! Values of rational functions modulo a large prime: two that are equal have equal values at every point, and two
//! that differ have equal values at a random point with probability degree / prime (Schwartz 1980, Zippel 1979).

use crate::limits::{FACTORIAL, TERMS};
use crate::tree::{Expr, Function, Series};
use crate::work::Work;
use dashu_base::BitTest;
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is no rational function, or too big.
    Unsupported,
    /// A division by zero at this point.
    Pole,
}

/// Arithmetic modulo a prime below 2^62, at a point.
pub(crate) struct Field<'a> {
    /// The modulus.
    pub prime: u64,
    /// Values of variables by name.
    pub point: &'a dyn Fn(&str) -> u64,
    /// What may still be spent.
    pub work: &'a Work,
}

type Residue = Result<u64, Stop>;

impl Field<'_> {
    fn times(&self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.prime)) as u64
    }

    fn plus(&self, a: u64, b: u64) -> u64 {
        (a + b) % self.prime
    }

    fn power(&self, mut base: u64, mut exponent: u64) -> u64 {
        let mut product = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                product = self.times(product, base);
            }
            base = self.times(base, base);
            exponent >>= 1;
        }
        product
    }

    fn spend(&self, units: u64) -> Result<(), Stop> {
        self.work.spend(units).ok_or(Stop::Unsupported)
    }

    fn invert(&self, a: u64) -> Residue {
        self.spend(POWER)?;
        if a == 0 { Err(Stop::Pole) } else { Ok(self.power(a, self.prime - 2)) }
    }

    fn negate(&self, a: u64) -> u64 {
        (self.prime - a) % self.prime
    }

    fn rational(&self, value: &RBig) -> Residue {
        let modulo = |n: &UBig| u64::try_from(n % UBig::from(self.prime)).map_err(|_| Stop::Unsupported);
        let numerator = value.numerator();
        self.spend(4 + (numerator.bit_len() + value.denominator().bit_len()) as u64 / 64)?;
        let (sign, magnitude) = numerator.clone().into_parts();
        let above = modulo(&magnitude)?;
        let above = if sign == dashu_base::Sign::Negative { self.negate(above) } else { above };
        if value.is_int() {
            return Ok(above);
        }
        let below = self.invert(modulo(value.denominator())?)?;
        Ok(self.times(above, below))
    }

    /// The residue of the expression's value.
    pub(crate) fn value(&self, expr: &Expr) -> Residue {
        self.at(expr, None)
    }

    fn at(&self, expr: &Expr, index: Option<(&str, i64)>) -> Residue {
        self.spend(1)?;
        match expr {
            Expr::Number(number) => self.rational(&number.value),
            Expr::Based(_, value, _) => self.rational(value),
            Expr::Variable(name) => Ok(match index {
                Some((n, value)) if n == name.as_ref() => self.rational(&RBig::from(value))?,
                _ => {
                    self.spend(4)?;
                    (self.point)(name)
                }
            }),
            Expr::Text(words) => Ok((self.point)(words)),
            Expr::Sum(terms) => {
                terms.iter().try_fold(0, |sum, term| Ok(self.plus(sum, self.at(term, index)?)))
            }
            Expr::Product(factors) => {
                factors.iter().try_fold(1, |p, factor| Ok(self.times(p, self.at(factor, index)?)))
            }
            Expr::Quotient(above, below) => {
                let below = self.invert(self.at(below, index)?)?;
                Ok(self.times(self.at(above, index)?, below))
            }
            Expr::Negative(inner) => self.at(inner, index).map(|v| self.negate(v)),
            Expr::Percent(inner) => Ok(self.times(self.at(inner, index)?, self.invert(100)?)),
            Expr::Power(base, exponent) => self.raise(base, exponent, index),
            Expr::Apply(Function::Factorial, arguments) => match arguments.as_slice() {
                [n] => {
                    let n = self.small(n).filter(|n| *n <= FACTORIAL).ok_or(Stop::Unsupported)?;
                    self.spend(n)?;
                    Ok((1..=n).fold(1, |p, i| self.times(p, i)))
                }
                _ => Err(Stop::Unsupported),
            },
            Expr::Series(series) => self.series(series, index),
            Expr::Quantity(inner, _) => self.at(inner, index),
            _ => Err(Stop::Unsupported),
        }
    }

    fn raise(&self, base: &Expr, exponent: &Expr, index: Option<(&str, i64)>) -> Residue {
        let exponent = match (exponent, index) {
            (Expr::Variable(name), Some((n, value))) if n == name.as_ref() => IBig::from(value),
            _ => {
                let exponent = super::exact::value(exponent, self.work).ok_or(Stop::Unsupported)?;
                if !exponent.is_int() {
                    return Err(Stop::Unsupported);
                }
                exponent.numerator().clone()
            }
        };
        let exponent = i64::try_from(exponent).map_err(|_| Stop::Unsupported)?;
        let base = self.at(base, index)?;
        if base == 0 && exponent <= 0 {
            return Err(Stop::Pole);
        }
        self.spend(POWER)?;
        let value = self.power(base, exponent.unsigned_abs());
        if exponent < 0 { self.invert(value) } else { Ok(value) }
    }

    fn series(&self, series: &Series, index: Option<(&str, i64)>) -> Residue {
        if index.is_some() {
            return Err(Stop::Unsupported);
        }
        let bound = |e: &Expr| {
            let value = super::exact::value(e, self.work).filter(RBig::is_int).ok_or(Stop::Unsupported)?;
            i64::try_from(value.numerator().clone()).map_err(|_| Stop::Unsupported)
        };
        let (from, to) = (bound(&series.from)?, bound(&series.to)?);
        if to.saturating_sub(from) >= TERMS as i64 {
            return Err(Stop::Unsupported);
        }
        let mut value = u64::from(series.product);
        for i in from..=to {
            let term = self.at(&series.body, Some((&series.index, i)))?;
            value = if series.product { self.times(value, term) } else { self.plus(value, term) };
        }
        Ok(value)
    }

    fn small(&self, expr: &Expr) -> Option<u64> {
        let value = super::exact::value(expr, self.work).filter(RBig::is_int)?;
        u64::try_from(value.numerator().clone()).ok()
    }
}

/// What a power or an inverse takes: some 120 products.
const POWER: u64 = 60;

/// Random primes between 2^61 and 2^62.
const PRIMES: [u64; 16] = [
    3_261_972_779_938_823_537,
    2_527_261_436_651_942_857,
    2_580_544_965_193_301_917,
    2_632_237_266_981_621_589,
    3_245_992_029_002_184_871,
    3_446_294_218_272_798_331,
    3_324_651_380_732_603_879,
    4_096_916_666_224_821_767,
    3_997_212_329_150_697_043,
    4_120_933_542_903_617_669,
    3_689_150_673_091_951_789,
    4_522_622_643_041_102_267,
    2_846_635_339_326_196_643,
    3_858_882_126_320_539_789,
    2_995_059_567_357_738_277,
    2_808_151_710_762_988_687,
];

/// A prime between 2^61 and 2^62, chosen by the seed.
pub(crate) fn prime(seed: u64) -> u64 {
    PRIMES[(seed % PRIMES.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Miller and Rabin's test with bases that decide it below 2^64 (Sinclair 2011).
    fn is_prime(n: u64) -> bool {
        let work = Work::default();
        let field = Field { prime: n, point: &|_| 0, work: &work };
        let twos = (n - 1).trailing_zeros();
        let odd = (n - 1) >> twos;
        n % 2 == 1
            && [2, 325, 9375, 28_178, 450_775, 9_780_504, 1_795_265_022].into_iter().all(|base| {
                let mut x = field.power(base % n, odd);
                x == 1
                    || (0..twos).any(|_| {
                        let minus_one = x == n - 1;
                        x = field.times(x, x);
                        minus_one
                    })
            })
    }

    #[test]
    fn the_moduli_are_large_primes() {
        assert!(is_prime((1 << 61) - 1) && !is_prime(3_215_031_751));
        assert!(PRIMES.into_iter().all(|p| p >> 61 == 1 && is_prime(p)));
    }
}

//! Functions by name, and how far their arguments reach.

use super::{Parsed, Parser, Stop, one_or};
use crate::lex::Kind;
use crate::tree::{Expr, Function, Series};

/// The function of a name.
pub(super) fn named(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" | "cosec" => Function::Csc,
        "arcsin" | "asin" => Function::Arcsin,
        "arccos" | "acos" => Function::Arccos,
        "arctan" | "atan" => Function::Arctan,
        "arccot" | "acot" => Function::Arccot,
        "arcsec" | "asec" => Function::Arcsec,
        "arccsc" | "acsc" => Function::Arccsc,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "coth" => Function::Coth,
        "arcsinh" | "arsinh" | "asinh" => Function::Arsinh,
        "arccosh" | "arcosh" | "acosh" => Function::Arcosh,
        "arctanh" | "artanh" | "atanh" => Function::Artanh,
        "exp" => Function::Exp,
        "ln" => Function::Ln,
        "log" | "lg" => Function::Log,
        "abs" => Function::Abs,
        "floor" => Function::Floor,
        "ceil" => Function::Ceil,
        "sgn" | "sign" => Function::Sign,
        "gcd" => Function::Gcd,
        "lcm" => Function::Lcm,
        "min" => Function::Min,
        "max" => Function::Max,
        "Re" => Function::Re,
        "Im" => Function::Im,
        "factorial" => Function::Factorial,
        _ => return None,
    })
}

/// Greek letters and other commands that are variables.
pub(super) fn letter(name: &str) -> bool {
    const LETTERS: &str = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau \
        upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar nabla vartheta \
        varpi varrho varsigma odot aleph jmath wp oplus";
    LETTERS.split_whitespace().any(|l| l == name)
}

/// Whether a command can begin a factor.
pub(super) fn starts_atom(name: &str) -> bool {
    named(name).is_some()
        || letter(name)
        || matches!(
            name,
            "frac"
                | "sqrt"
                | "cbrt"
                | "binom"
                | "pi"
                | "infty"
                | "lfloor"
                | "lceil"
                | "overline"
                | "bar"
                | "vec"
                | "hat"
                | "overrightarrow"
                | "tilde"
                | "widehat"
                | "dot"
                | "ddot"
                | "angle"
                | "triangle"
                | "mathbb"
                | "mathcal"
                | "mathfrak"
                | "partial"
                | "textcircled"
                | "det"
                | "sum"
                | "prod"
                | "int"
                | "iint"
                | "iiint"
                | "oint"
                | "lim"
                | "imath"
        )
}

/// Whether a command is one that is read, alone or with others.
pub(crate) fn reads(command: &str) -> bool {
    starts_atom(command)
        || matches!(
            command,
            "cup"
                | "cap"
                | "bigcup"
                | "bigcap"
                | "setminus"
                | "pm"
                | "mp"
                | "in"
                | "notin"
                | "subset"
                | "approx"
                | "equiv"
                | "sim"
                | "to"
                | "cong"
                | "propto"
                | "perp"
                | "parallel"
                | "Leftrightarrow"
                | "iff"
                | "mapsto"
                | "not"
                | "lor"
                | "vee"
                | "land"
                | "wedge"
                | "mod"
                | "bmod"
                | "pmod"
                | "circ"
                | "choose"
                | "emptyset"
                | "R"
                | "Z"
                | "limsup"
                | "liminf"
                | "measuredangle"
                | "rfloor"
                | "rceil"
        )
}

/// Whether an environment is one that is read.
pub(crate) fn reads_environment(name: &str) -> bool {
    super::atom::SYSTEMS.contains(&name) || super::atom::MATRICES.contains(&name)
}

/// Whether a name is that of a letter such as `alpha`, which LaTeX writes as a command.
pub(crate) fn is_letter(name: &str) -> bool {
    letter(name) || name == "theta"
}

/// Whether a run of letters is a name of mathematics rather than a word.
pub(crate) fn known(run: &str) -> bool {
    named(run).is_some()
        || letter(run)
        || matches!(run, "sqrt" | "and" | "pi" | "inf" | "infty" | "infinity" | "xyz" | "abc" | "mod")
}

fn inverse(function: Function) -> Option<Function> {
    Some(match function {
        Function::Sin => Function::Arcsin,
        Function::Cos => Function::Arccos,
        Function::Tan => Function::Arctan,
        Function::Cot => Function::Arccot,
        Function::Sec => Function::Arcsec,
        Function::Csc => Function::Arccsc,
        Function::Sinh => Function::Arsinh,
        Function::Cosh => Function::Arcosh,
        Function::Tanh => Function::Artanh,
        _ => return None,
    })
}

impl Parser<'_> {
    /// A function after its name: subscript, power, argument.
    pub(super) fn function(&mut self, function: Function) -> Parsed {
        let mut function = function;
        let mut base = None;
        let mut power = None;
        loop {
            match self.symbol() {
                Some('_') if function == Function::Log && base.is_none() => {
                    self.at += 1;
                    base = Some(self.argument()?);
                }
                Some('^') if power.is_none() => {
                    self.at += 1;
                    power = Some(self.deeper(Self::exponent)?);
                }
                _ => break,
            }
        }
        if let (Some(Expr::Negative(one)), Some(inverse)) = (&power, inverse(function))
            && **one == Expr::integer(1)
        {
            function = inverse;
            power = None;
        }
        let mut arguments = self.arguments(function)?;
        if let Some(base) = base {
            if arguments.len() != 1 {
                return Err(Stop::Syntax);
            }
            arguments.insert(0, base);
            function = Function::LogBase;
        }
        let several = matches!(
            function,
            Function::Min | Function::Max | Function::Gcd | Function::Lcm | Function::LogBase
        );
        if arguments.len() != 1 && !several {
            return Err(Stop::Syntax);
        }
        let applied = Expr::Apply(function, arguments);
        Ok(match power {
            Some(power) => Expr::Power(Box::new(applied), Box::new(power)),
            None => applied,
        })
    }

    fn arguments(&mut self, function: Function) -> Result<Vec<Expr>, Stop> {
        let several = matches!(function, Function::Min | Function::Max | Function::Gcd | Function::Lcm);
        match self.peek() {
            Some(Kind::Symbol('(' | '[')) => Ok(match self.deeper(Self::atom)? {
                Expr::Tuple(v) => v,
                Expr::Interval(a, b, ..) if several => vec![*a, *b],
                other => vec![other],
            }),
            Some(Kind::Symbol('{')) if several => match self.deeper(Self::atom)? {
                Expr::Set(v) => Ok(v),
                _ => Err(Stop::Syntax),
            },
            Some(Kind::Open) => {
                let group = self.deeper(Self::atom)?;
                Ok(vec![group])
            }
            _ => self.deeper(Self::bare).map(|argument| vec![argument]),
        }
    }

    /// An argument without brackets: factors up to the next function, bracket or operator.
    fn bare(&mut self) -> Parsed {
        let mut negative = false;
        while let Some(sign @ ('-' | '+')) = self.symbol() {
            negative ^= sign == '-';
            self.at += 1;
        }
        let function_first =
            matches!(self.peek(), Some(Kind::Command(n) | Kind::Letters(n)) if named(n).is_some());
        let mut factors = vec![self.power()?];
        loop {
            let goes_on = match self.peek() {
                _ if function_first => false,
                Some(Kind::Command(name)) => named(name).is_none() && starts_atom(name),
                Some(Kind::Letters(name)) => named(name).is_none() && self.implied(factors.last()),
                Some(Kind::Open) => true,
                Some(Kind::Text(content)) => {
                    super::name::letter(content).is_some() && self.implied(factors.last())
                }
                _ => false,
            };
            if !goes_on {
                break;
            }
            factors.push(self.power()?);
        }
        let product = one_or(factors, Expr::Product);
        Ok(if negative { Expr::Negative(Box::new(product)) } else { product })
    }

    /// `\sum_{k=1}^{n}` and its body.
    pub(super) fn series(&mut self, product: bool) -> Parsed {
        let (below, above) = self.bounds()?;
        let body = self.deeper(Self::term)?;
        match (below, above) {
            (Some(Expr::Relation(first, rest)), Some(to)) if rest.len() == 1 => {
                match (*first, rest.into_iter().next()) {
                    (Expr::Variable(index), Some((crate::tree::Relator::Equal, from))) => {
                        Ok(Expr::Series(Box::new(Series { product, index, from, to, body })))
                    }
                    (Expr::Constant(crate::tree::Constant::I), Some((crate::tree::Relator::Equal, from))) => {
                        let index: Box<str> = "i".into();
                        let body = body.map(&|e| {
                            (*e == Expr::Constant(crate::tree::Constant::I))
                                .then(|| Expr::Variable("i".into()))
                        });
                        Ok(Expr::Series(Box::new(Series { product, index, from, to, body })))
                    }
                    (first, Some(second)) => {
                        let below = Expr::Relation(Box::new(first), vec![second]);
                        Ok(Expr::Opaque(if product { "prod" } else { "sum" }.into(), vec![below, to, body]))
                    }
                    _ => Err(Stop::Syntax),
                }
            }
            (below, above) => {
                let parts = below.into_iter().chain(above).chain([body]).collect();
                Ok(Expr::Opaque(if product { "prod" } else { "sum" }.into(), parts))
            }
        }
    }

    fn bounds(&mut self) -> Result<(Option<Expr>, Option<Expr>), Stop> {
        let (mut below, mut above) = (None, None);
        loop {
            match self.symbol() {
                Some('_') if below.is_none() => {
                    self.at += 1;
                    below = Some(self.argument()?);
                }
                Some('^') if above.is_none() => {
                    self.at += 1;
                    above = Some(self.deeper(Self::exponent)?);
                }
                _ => return Ok((below, above)),
            }
        }
    }

    /// An integral or a limit: read, but without a value.
    pub(super) fn operator(&mut self, name: &str) -> Parsed {
        let (below, above) = self.bounds()?;
        let body = self.deeper(Self::sum)?;
        let parts = below.into_iter().chain(above).chain([body]).collect();
        Ok(Expr::Opaque(name.into(), parts))
    }
}

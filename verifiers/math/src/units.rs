//! Units and nouns after a value: `10 cm`, `5.13 ft/sec`, `15 hours`, `3 red apples`, `\$5`.
//!
//! Known units have a dimension and a factor and convert into one another; what is counted ("apples") is compared
//! by its stem. A unit may be missing on either side, so a word taken for a unit that is none makes a wrong answer
//! right: words that change a value, and letters that may be variables, are no units, and a word that is not known is
//! passed over only where the problem vouches for it.

use crate::lex::{Commas, Kind, Token, tokens};
use crate::lexicon::{self, Context, stem};
use dashu_ratio::RBig;

/// Powers of metre, kilogram, second, ampere, kelvin, mole, dollar, radian and calendar month.
pub type Dimension = [i8; 9];

/// What a value counts or measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// A normal form: known symbols, stems of nouns.
    pub name: Box<str>,
    /// For known units.
    pub known: Option<(Dimension, RBig)>,
    /// Words in it that no table knows, as written.
    pub strange: Vec<Box<str>>,
}

/// How two units compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Match {
    /// They are the same, or nothing is known of one of them.
    Same,
    /// One of the first is so many of the second.
    Factor(RBig),
    /// They measure different things.
    Different,
}

impl Unit {
    /// The degree, as a unit that may be missing.
    pub(crate) fn named(name: &str) -> Option<Unit> {
        let (dimension, factor) = known(name)?;
        Some(Unit { name: name.into(), known: Some((dimension, factor)), strange: Vec::new() })
    }

    /// A unit that is known by its name only.
    pub(crate) fn noun(name: &str) -> Unit {
        Unit { name: name.into(), known: None, strange: Vec::new() }
    }

    /// The first of its words that may not be passed over.
    pub(crate) fn unvouched(&self, context: &Context<'_>) -> Option<&str> {
        self.strange.iter().find(|word| !context.vouches(word)).map(AsRef::as_ref)
    }

    /// How this compares with another.
    pub(crate) fn compare(&self, other: &Unit) -> Match {
        match (&self.known, &other.known) {
            (Some((a, x)), Some((b, y))) if a == b => {
                if x == y {
                    Match::Same
                } else {
                    Match::Factor(x.clone() / y.clone())
                }
            }
            (Some(_), Some(_)) => Match::Different,
            _ if self.name == other.name || self.vague() || other.vague() => Match::Same,
            _ => {
                let words = |unit: &Unit| unit.name.split(' ').map(str::to_owned).collect::<Vec<_>>();
                let (a, b) = (words(self), words(other));
                let rate = |v: &[String]| v.iter().any(|w| w == "per");
                let within = rate(&a) == rate(&b)
                    && (a.iter().all(|w| b.contains(w)) || b.iter().all(|w| a.contains(w)));
                if within { Match::Same } else { Match::Different }
            }
        }
    }

    /// Whether it only says that there is a unit.
    fn vague(&self) -> bool {
        self.name
            .split(' ')
            .all(|word| matches!(word, "unit" | "square" | "cubic" | "sq" | "cu" | "^2" | "^3"))
    }
}

const M: Dimension = [1, 0, 0, 0, 0, 0, 0, 0, 0];
const M3: Dimension = [3, 0, 0, 0, 0, 0, 0, 0, 0];
const KG: Dimension = [0, 1, 0, 0, 0, 0, 0, 0, 0];
const S: Dimension = [0, 0, 1, 0, 0, 0, 0, 0, 0];
const A: Dimension = [0, 0, 0, 1, 0, 0, 0, 0, 0];
const K: Dimension = [0, 0, 0, 0, 1, 0, 0, 0, 0];
const MOL: Dimension = [0, 0, 0, 0, 0, 1, 0, 0, 0];
const USD: Dimension = [0, 0, 0, 0, 0, 0, 1, 0, 0];
const RAD: Dimension = [0, 0, 0, 0, 0, 0, 0, 1, 0];
/// Months and years have no fixed length in days.
const MONTH: Dimension = [0, 0, 0, 0, 0, 0, 0, 0, 1];
const SPEED: Dimension = [1, 0, -1, 0, 0, 0, 0, 0, 0];
const HZ: Dimension = [0, 0, -1, 0, 0, 0, 0, 0, 0];
const N: Dimension = [1, 1, -2, 0, 0, 0, 0, 0, 0];
const J: Dimension = [2, 1, -2, 0, 0, 0, 0, 0, 0];
const W: Dimension = [2, 1, -3, 0, 0, 0, 0, 0, 0];
const PA: Dimension = [-1, 1, -2, 0, 0, 0, 0, 0, 0];
const V: Dimension = [2, 1, -3, -1, 0, 0, 0, 0, 0];
const OHM: Dimension = [2, 1, -3, -2, 0, 0, 0, 0, 0];
const C: Dimension = [0, 0, 1, 1, 0, 0, 0, 0, 0];
const T: Dimension = [0, 1, -2, -1, 0, 0, 0, 0, 0];
const AREA: Dimension = [2, 0, 0, 0, 0, 0, 0, 0, 0];

/// Spellings, dimension, factor to the base as numerator and denominator.
const TABLE: &[(&[&str], Dimension, u64, u64)] = &[
    (&["m", "meter", "metre", "米"], M, 1, 1),
    (&["cm", "centimeter", "centimetre", "厘米"], M, 1, 100),
    (&["mm", "millimeter", "millimetre", "毫米"], M, 1, 1000),
    (&["dm", "decimeter", "decimetre"], M, 1, 10),
    (&["km", "kilometer", "kilometre", "公里", "千米"], M, 1000, 1),
    (&["micron"], M, 1, 1_000_000),
    (&["in", "inch", "inche"], M, 254, 10_000),
    (&["ft", "foot", "feet"], M, 3048, 10_000),
    (&["yd", "yard"], M, 9144, 10_000),
    (&["mi", "mile"], M, 1_609_344, 1000),
    (&["kg", "kilogram", "kilo", "千克", "公斤"], KG, 1, 1),
    (&["g", "gram", "gm", "克"], KG, 1, 1000),
    (&["lb", "pound"], KG, 45_359_237, 100_000_000),
    (&["oz", "ounce"], KG, 45_359_237, 1_600_000_000),
    (&["ton", "tonne", "吨"], KG, 1000, 1),
    (&["s", "sec", "second", "秒"], S, 1, 1),
    (&["min", "minute", "分钟"], S, 60, 1),
    (&["h", "hr", "hour", "小时"], S, 3600, 1),
    (&["day", "天"], S, 86_400, 1),
    (&["week", "wk"], S, 604_800, 1),
    (&["month"], MONTH, 1, 1),
    (&["year", "yr", "年"], MONTH, 12, 1),
    (&["decade"], MONTH, 120, 1),
    (&["century", "centurie"], MONTH, 1200, 1),
    (&["mph"], SPEED, 1_609_344, 3_600_000),
    (&["kph", "kmh"], SPEED, 1000, 3600),
    (&["L", "l", "liter", "litre", "升"], M3, 1, 1000),
    (&["mL", "ml", "milliliter", "millilitre", "毫升"], M3, 1, 1_000_000),
    (&["gal", "gallon"], M3, 3_785_411_784, 1_000_000_000_000),
    (&["qt", "quart"], M3, 3_785_411_784, 4_000_000_000_000),
    (&["pt", "pint"], M3, 3_785_411_784, 8_000_000_000_000),
    (&["acre"], AREA, 40_468_564_224, 10_000_000),
    (&["ha", "hectare"], AREA, 10_000, 1),
    (&["N", "newton"], N, 1, 1),
    (&["J", "joule"], J, 1, 1),
    (&["W", "watt"], W, 1, 1),
    (&["Pa", "pascal"], PA, 1, 1),
    (&["V", "volt"], V, 1, 1),
    (&["A", "amp", "ampere"], A, 1, 1),
    (&["Omega", "ohm"], OHM, 1, 1),
    (&["C", "coulomb"], C, 1, 1),
    (&["T", "tesla"], T, 1, 1),
    (&["Hz", "hertz"], HZ, 1, 1),
    (&["K", "kelvin"], K, 1, 1),
    (&["mol", "mole"], MOL, 1, 1),
    (&["dollar", "usd", "USD", "buck", "美元"], USD, 1, 1),
    (&["cent", "¢"], USD, 1, 100),
    (&["rad", "radian"], RAD, 1, 1),
];

/// Words that say nothing about which unit it is.
const FILLERS: &[&str] = &["a", "an", "of", "in", "total", "each", "per", "approx", "the", "है"];

/// Units that take prefixes: symbol, name.
const PREFIXED: [(&str, &str); 16] = [
    ("m", "meter"),
    ("m", "metre"),
    ("g", "gram"),
    ("s", "second"),
    ("A", "ampere"),
    ("A", "amp"),
    ("K", "kelvin"),
    ("mol", "mole"),
    ("Hz", "hertz"),
    ("N", "newton"),
    ("J", "joule"),
    ("W", "watt"),
    ("Pa", "pascal"),
    ("V", "volt"),
    ("L", "liter"),
    ("T", "tesla"),
];

/// Prefixes: symbol, name, power of ten.
const PREFIXES: [(&str, &str, i32); 10] = [
    ("p", "pico", -12),
    ("n", "nano", -9),
    ("u", "micro", -6),
    ("μ", "micro", -6),
    ("m", "milli", -3),
    ("c", "centi", -2),
    ("k", "kilo", 3),
    ("M", "mega", 6),
    ("G", "giga", 9),
    ("T", "tera", 12),
];

/// Whether a word is a known unit.
pub(crate) fn is_known(word: &str) -> bool {
    lookup(word).is_some()
}

fn known(name: &str) -> Option<(Dimension, RBig)> {
    let (_, dimension, a, b) = TABLE.iter().find(|(names, ..)| names.contains(&name))?;
    Some((*dimension, RBig::from_parts((*a).into(), (*b).into())))
}

/// A unit with a prefix: symbols in their case, `mW` and `MW`, names in lower case.
fn prefixed(word: &str) -> Option<(Dimension, RBig)> {
    PREFIXES.iter().find_map(|(symbol, name, power)| {
        let base = word.strip_prefix(symbol).and_then(|rest| PREFIXED.iter().find(|(s, _)| *s == rest));
        let base = base.or_else(|| {
            let rest = word.strip_prefix(name)?;
            PREFIXED.iter().find(|(_, n)| *n == rest)
        });
        let (dimension, factor) = known(base?.0)?;
        let ten = RBig::from(10).pow(power.abs() as isize);
        Some((dimension, if *power < 0 { factor / ten } else { factor * ten }))
    })
}

/// A known unit by symbol, or by name in any number.
fn lookup(word: &str) -> Option<(String, Dimension, RBig)> {
    let found = |name: &str| known(name).or_else(|| prefixed(name)).map(|(d, f)| (name.to_owned(), d, f));
    let lower = word.to_lowercase();
    let shouted = word.len() == 2 && word.bytes().all(|b| b.is_ascii_uppercase());
    found(word)
        .or_else(|| {
            if word.len() > 2 || shouted { known(&lower).map(|(d, f)| (lower.clone(), d, f)) } else { None }
        })
        .or_else(|| lower.strip_suffix('s').filter(|w| w.len() > 2).and_then(found))
        .or_else(|| lower.strip_suffix("es").filter(|w| w.len() > 2).and_then(found))
}

/// Whether a run of letters in a formula is a unit: `kT` and `pV` may be products there.
fn in_formulas(word: &str) -> bool {
    const SYMBOLS: [&str; 14] =
        ["nm", "um", "mg", "ms", "kN", "kJ", "kW", "kPa", "MPa", "mA", "kHz", "MHz", "GHz", "mol"];
    let symbol = word.len() < 4 && known(word).is_none() && prefixed(word).is_some();
    word.len() > 1 && lookup(word).is_some() && (!symbol || SYMBOLS.contains(&word))
}

#[derive(Debug)]
enum Part {
    Word(String),
    Power(i8),
    Per,
}

/// A unit at the start of the tokens, which follow a value, and how many tokens it takes.
pub(crate) fn read(tokens: &[Token<'_>]) -> Option<(Unit, usize)> {
    let mut parts = Vec::new();
    let used = collect(tokens, false, &mut parts, 0)?;
    Some((combine(&parts)?, used))
}

/// The parts of a unit at the start of the tokens, and how many tokens they take; none where a word is among them that is
/// no unit. In a text (`roman`) short words count as well.
fn collect(tokens: &[Token<'_>], roman: bool, parts: &mut Vec<Part>, depth: usize) -> Option<usize> {
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        match &token.kind {
            Kind::Letters(word) => {
                let sure = roman || in_formulas(word) || word.len() > 2 && token.spaced;
                let continues = matches!(parts.last(), Some(Part::Per));
                if !sure && !continues {
                    break;
                }
                let lower = word.to_lowercase();
                // words that change a value, and letters that stand for something
                // "5 times" is how often, "5 times 3" a product
                let times = lower == "times" && i + 1 == tokens.len();
                if lookup(word).is_none()
                    && !times
                    && (lexicon::changes(word) || word.len() == 1 && !continues && lower != "a")
                {
                    return if parts.is_empty() { None } else { Some(i) };
                }
                parts.push(if lower == "per" { Part::Per } else { Part::Word((*word).to_owned()) });
            }
            Kind::Text(content) if content.starts_with(|c: char| !c.is_ascii() && c.is_alphabetic()) => {
                if lexicon::changes(content) {
                    return if parts.is_empty() { None } else { Some(i) };
                }
                parts.push(Part::Word((*content).to_owned()));
            }
            Kind::Text(content) if depth == 0 => {
                let inner = self::tokens(content, Commas::Separate).ok()?;
                let before = parts.len();
                if collect(&inner, true, parts, 1)? != inner.len() {
                    parts.truncate(before);
                    return if parts.is_empty() { None } else { Some(i) };
                }
            }
            Kind::Command("Omega") => parts.push(Part::Word("Omega".into())),
            Kind::Symbol('^') if matches!(parts.last(), Some(Part::Word(..))) => {
                let (power, used) = power(&tokens[i + 1..])?;
                parts.push(Part::Power(power));
                i += used;
            }
            Kind::Symbol('/') if !parts.is_empty() && i + 1 < tokens.len() => {
                if !matches!(tokens[i + 1].kind, Kind::Letters(_) | Kind::Text(_)) {
                    break;
                }
                parts.push(Part::Per);
            }
            Kind::Symbol('*' | '-') if !parts.is_empty() => {
                if !matches!(tokens.get(i + 1).map(|t| &t.kind), Some(Kind::Letters(_) | Kind::Text(_))) {
                    break;
                }
            }
            Kind::Symbol('.') if roman || i + 1 == tokens.len() => {}
            Kind::Symbol('\'') if roman => {}
            _ => break,
        }
        i += 1;
        if parts.len() > 12 {
            return None;
        }
    }
    Some(i)
}

fn power(tokens: &[Token<'_>]) -> Option<(i8, usize)> {
    let number = |token: Option<&Token<'_>>| match &token?.kind {
        Kind::Number(n) => n.parse::<i8>().ok().filter(|n| *n > 0 && *n < 7),
        _ => None,
    };
    match &tokens.first()?.kind {
        Kind::Number(_) => Some((number(tokens.first())?, 1)),
        Kind::Symbol('-') => Some((-number(tokens.get(1))?, 2)),
        Kind::Open => {
            let (value, used) = power(&tokens[1..])?;
            (tokens.get(1 + used)?.kind == Kind::Close).then_some((value, used + 2))
        }
        _ => None,
    }
}

fn combine(parts: &[Part]) -> Option<Unit> {
    let mut names = Vec::new();
    let mut strange = Vec::new();
    let mut known = Some(([0i8; 9], RBig::ONE));
    let mut below = false;
    let mut square = 1;
    for (i, part) in parts.iter().enumerate() {
        match part {
            Part::Per => {
                below = true;
                names.push("per".to_owned());
            }
            Part::Power(power) => names.push(format!("^{power}")),
            Part::Word(word) => {
                let exponent = match parts.get(i + 1) {
                    Some(Part::Power(power)) => *power,
                    _ => 1,
                } * if below { -1 } else { 1 };
                let lower = word.to_lowercase();
                if matches!(lower.as_str(), "square" | "sq" | "cubic" | "cu") && i + 1 < parts.len() {
                    square = if lower.starts_with('s') { 2 } else { 3 };
                    continue;
                }
                let exponent = exponent * std::mem::replace(&mut square, 1);
                if let Some((name, dimension, factor)) = lookup(word) {
                    names.push(name);
                    known = known.map(|(mut d, f)| {
                        for (sum, one) in d.iter_mut().zip(dimension) {
                            *sum = sum.saturating_add(one.saturating_mul(exponent));
                        }
                        (d, f * factor.pow(isize::from(exponent)))
                    });
                } else if !FILLERS.contains(&lower.as_str()) {
                    // symbols are told apart by their case
                    let symbol = word.len() < 4 || word.chars().skip(1).any(|c| c.is_ascii_uppercase());
                    names.push(if symbol && word.is_ascii() { word.clone() } else { stem(word) });
                    if !lexicon::counted(word) {
                        strange.push(word.as_str().into());
                    }
                    known = None;
                }
            }
        }
    }
    if names.is_empty() {
        return None;
    }
    Some(Unit { name: names.join(" ").into(), known, strange })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Option<Unit> {
        let text = format!(" {text}");
        let tokens = tokens(&text, Commas::Separate).unwrap();
        read(&tokens).filter(|(_, used)| *used == tokens.len()).map(|(unit, _)| unit)
    }

    #[test]
    fn known_units_convert_and_nouns_compare_by_stem() {
        let compare = |a: &str, b: &str| unit(a).unwrap().compare(&unit(b).unwrap());
        assert_eq!(compare("cm", r"\text{m}"), Match::Factor(RBig::from_parts(1.into(), 100u8.into())));
        assert_eq!(compare(r"\text{ cm}^2", r"\mathrm{~cm}^{2}"), Match::Same);
        assert_eq!(compare(r"\mathrm{ft} / \mathrm{sec}", "feet per second"), Match::Same);
        assert_eq!(compare("apples", "apple"), Match::Same);
        assert_eq!(compare("square feet", r"\text{ft}^2"), Match::Same);
        assert_eq!(compare("apples", "pears"), Match::Different);
        assert_eq!(compare("hours", "meters"), Match::Different);
        assert_eq!(compare("square units", "cm"), Match::Same);
    }

    #[test]
    fn words_that_change_a_value_and_letters_that_may_be_variables_are_no_units() {
        for text in ["or six", "x", "m", "squared", "minus two", "choose two", " plus"] {
            assert_eq!(unit(text), None, "{text}");
        }
    }
}

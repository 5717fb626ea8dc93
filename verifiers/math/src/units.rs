//! Words after a number: units, what is counted, scales ("3 million") and percent.
//!
//! A unit may be missing on either side, so a word taken for a unit that is none makes a wrong answer right.
//! Words that change a value, and letters that may be variables, are therefore no units.

use crate::lex::{Spaced, Token};

/// What stands after a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Factor by a word such as "thousand".
    pub scale: Option<u64>,
    /// The number is in hundredths.
    pub percent: bool,
    /// The unit in a normal form: words in order, one space between them.
    pub unit: Option<String>,
}

/// Units that are known, each with its other spellings. Only these are read when they touch their number or
/// are short.
const KNOWN: [&[&str]; 42] = [
    &["meter", "m", "meters", "metre", "metres"],
    &["centimeter", "cm", "centimeters", "centimetre", "centimetres"],
    &["millimeter", "mm", "millimeters", "millimetre", "millimetres"],
    &["kilometer", "km", "kilometers", "kilometre", "kilometres"],
    &["inch", "in", "inches"],
    &["foot", "ft", "feet"],
    &["yard", "yd", "yards", "yds"],
    &["mile", "mi", "miles"],
    &["gram", "g", "grams"],
    &["kilogram", "kg", "kilograms", "kgs"],
    &["milligram", "mg", "milligrams"],
    &["pound", "lb", "lbs", "pounds"],
    &["ounce", "oz", "ounces"],
    &["liter", "L", "l", "liters", "litre", "litres"],
    &["milliliter", "mL", "ml", "milliliters", "millilitre", "millilitres"],
    &["gallon", "gal", "gallons"],
    &["second", "s", "sec", "secs", "seconds"],
    &["minute", "min", "mins", "minutes"],
    &["hour", "h", "hr", "hrs", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["year", "yr", "yrs", "years"],
    &["dollar", "dollars", "USD"],
    &["cent", "cents"],
    &["euro", "euros", "EUR"],
    &["degree", "deg", "degrees"],
    &["radian", "rad", "radians"],
    &["mph"],
    &["newton", "N", "newtons"],
    &["joule", "J", "joules"],
    &["kilojoule", "kJ", "kilojoules"],
    &["watt", "W", "watts"],
    &["kilowatt", "kW", "kilowatts"],
    &["volt", "V", "volts"],
    &["ampere", "A", "amps", "amp", "amperes"],
    &["hertz", "Hz"],
    &["kelvin", "K", "kelvins"],
    &["mole", "mol", "moles"],
    &["sq", "square"],
    &["nanometer", "nm", "nanometers"],
    &["megahertz", "MHz"],
];

/// Words that change what was said before them, name a number, or take it back.
const NO_UNITS: &str = "\
    or and to through thru until not if when unless mod modulo plus minus times divided multiplied over \
    by squared cubed factorial half halves third thirds quarter quarters fourth fourths fifth fifths \
    sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths \
    thousandth thousandths more less fewer greater smaller than least most except but maybe perhaps \
    possibly probably approximately about roughly either neither both versus point negative positive is \
    was are be isn't isn’t wrong incorrect false true no yes instead wait actually alternatively choose \
    power root sqrt pi out remainder base zero one two three four five six seven eight nine ten eleven \
    twelve thirteen fifteen twenty thirty forty fifty sixty seventy eighty ninety twice infinity lakh crore \
    gross mil";

/// Words that say nothing about which unit it is.
const FILLERS: [&str; 7] = ["a", "an", "the", "of", "in", "total", "each"];

const SCALES: [(&str, u64); 6] = [
    ("dozen", 12),
    ("hundred", 100),
    ("thousand", 1000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];

/// Words of a tail at most.
const WORDS: usize = 8;

/// Reads what stands after a number; none when it is not made of units.
pub(crate) fn tail(tokens: &[Spaced<'_>]) -> Option<Tail> {
    let mut tail = Tail::default();
    let mut unit = Vec::new();
    let mut words = 0;
    let mut i = 0;
    while let Some(Spaced { token, spaced }) = tokens.get(i) {
        let first = i == 0;
        i += 1;
        match token {
            Token::Symbol('%') if first => tail.percent = true,
            Token::Symbol('^') if first || unit.last().is_some() => {
                let (power, used) = power(&tokens[i..])?;
                i += used;
                match power {
                    "circ" if unit.is_empty() => unit.push("degree".to_owned()),
                    "circ" => return None,
                    power => unit.push(format!("^{power}")),
                }
                // degrees are no factor of what is on their right
                if first && unit != ["degree"] {
                    return None;
                }
            }
            Token::Symbol('/') if words > 0 && i < tokens.len() => unit.push("per".to_owned()),
            Token::Symbol('*') if words > 0 && i < tokens.len() => {}
            Token::Symbol('.') if words > 0 => {}
            Token::Word { text, roman } => {
                words += 1;
                let lower = text.to_lowercase();
                let stem = lower.strip_suffix('s').unwrap_or(&lower);
                let scale = SCALES.iter().find(|(name, _)| *name == stem);
                if words > WORDS || ordinal(stem) || NO_UNITS.split(' ').any(|w| w == lower) {
                    return None;
                } else if let Some((_, scale)) = scale {
                    if words > 1 || tail.percent || !spaced {
                        return None;
                    }
                    tail.scale = Some(*scale);
                } else if matches!(lower.as_str(), "percent" | "pct") && words == 1 && !tail.percent {
                    tail.percent = true;
                } else if let Some(known) = KNOWN.iter().find(|k| k.contains(text)) {
                    if text.len() == 1 && !spaced && !roman && words == 1 {
                        return None;
                    }
                    let filler = *text == "in" && i < tokens.len();
                    if !filler {
                        unit.push(known[0].to_owned());
                    }
                } else if (words > 1 || tail.percent) && FILLERS.contains(&lower.as_str()) {
                } else if text.chars().count() >= 3 && (*spaced || *roman) && vowel(&lower) {
                    unit.push(singular(lower));
                } else {
                    return None;
                }
            }
            _ => return None,
        }
    }
    tail.unit = (!unit.is_empty()).then(|| unit.join(" "));
    Some(tail)
}

/// The unit of a sign of currency.
pub(crate) fn currency(token: &Token<'_>) -> Option<&'static str> {
    match token {
        Token::Symbol('$') => Some("dollar"),
        Token::Symbol('€') => Some("euro"),
        Token::Symbol('£') => Some("pound sterling"),
        Token::Symbol('¥') => Some("yen"),
        Token::Symbol('₹') => Some("rupee"),
        _ => None,
    }
}

/// A degree sign or a whole power of a unit after `^`, and its number of tokens.
fn power<'a>(tokens: &'a [Spaced<'_>]) -> Option<(&'a str, usize)> {
    let read = |token: &'a Token<'_>| match token {
        Token::Command("circ") => Some("circ"),
        Token::Number(n) if n == "2" || n == "3" => Some(n.as_ref()),
        _ => None,
    };
    match tokens {
        [open, inner, close, ..] if open.token == Token::Open && close.token == Token::Close => {
            read(&inner.token).map(|p| (p, 3))
        }
        [inner, ..] => read(&inner.token).map(|p| (p, 1)),
        [] => None,
    }
}

/// Words have vowels; products of variables mostly have none.
fn vowel(word: &str) -> bool {
    word.contains(['a', 'e', 'i', 'o', 'u', 'y']) || !word.is_ascii()
}

/// Parts such as twentieths; the shorter ones are among [`NO_UNITS`].
fn ordinal(stem: &str) -> bool {
    ["ieth", "enth", "ionth", "elfth"].iter().any(|end| stem.ends_with(end))
}

fn singular(word: String) -> String {
    match word.strip_suffix('s') {
        Some(stem) if stem.len() >= 3 && !stem.ends_with('s') => stem.to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::lex;

    fn read(text: &str) -> Option<Tail> {
        tail(&lex(text).unwrap()[1..])
    }

    #[test]
    fn units_have_one_form_whatever_their_spelling() {
        let unit = |text| read(text).unwrap().unit.unwrap();
        assert_eq!(unit("5 cm"), "centimeter");
        assert_eq!(unit(r"5\text{ centimeters}"), "centimeter");
        assert_eq!(unit("5cm"), "centimeter");
        assert_eq!(unit("60 km/h"), unit("60 kilometers per hour"));
        assert_eq!(unit("5 cm^2"), "centimeter ^2");
        assert_eq!(unit("45°"), unit("45 degrees"));
        assert_eq!(unit("5 duck eggs in total"), "duck egg");
        assert_eq!(unit("5 sq. ft."), unit("5 square feet"));
    }

    #[test]
    fn scales_and_percent_are_told_from_units() {
        assert_eq!(read("3 million people").unwrap().scale, Some(1_000_000));
        assert_eq!(read("3 thousands").unwrap().scale, Some(1000));
        assert!(read("3%").unwrap().percent && read("3 percent").unwrap().percent);
        assert_eq!(read(r"3\% \text{ of books}").unwrap().unit.as_deref(), Some("book"));
    }

    #[test]
    fn words_that_change_a_value_and_letters_that_may_be_variables_are_no_units() {
        for text in [
            "5 or six",
            "5 and more",
            "5x",
            "5 x",
            "5m",
            "5ab",
            "5 bcd",
            "5 squared",
            "5 halves",
            "5 minus two",
            "5 not",
            "5 + 6",
            "5 choose two",
            "5^4",
            "5 cm 3",
            "5 pi",
            "5 more than before",
            "5, eggs",
            "5 mod seven",
            "5 twentieths",
            "5 millionths",
            "5 lakh",
            r"5 \pi",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

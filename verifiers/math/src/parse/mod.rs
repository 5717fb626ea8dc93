//! The Pratt parser: tokens to a typed tree. Its levels, from loose to tight: lists, relations, unions, ratios,
//! sums, products (written or implied), signs, powers, what follows an atom (`!`, `%`, degrees), atoms.

mod atom;
mod function;
mod literal;
mod name;

use crate::lex::{Kind, Token};
use crate::limits::{DEPTH, LimitError, NODES};
use crate::tree::{Constant, Expr, Relator};
use crate::units;

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The tokens are no mathematics that is known here.
    Syntax,
    /// They are beyond a limit.
    Limit(LimitError),
}

type Parsed = Result<Expr, Stop>;

/// What stands between two elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Comma,
    Semicolon,
    /// "or", or a space that is as good.
    Word,
    And,
}

/// The tree of all the tokens.
pub(crate) fn parse(tokens: &[Token<'_>]) -> Parsed {
    let mut parser =
        Parser { tokens: tokens.to_vec(), at: 0, depth: 0, nodes: 0, bar: false, quantities: true, wraps: 0 };
    let expr = parser.list()?;
    if parser.at < parser.tokens.len() { Err(Stop::Syntax) } else { Ok(expr) }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    nodes: usize,
    /// Whether a `|` closes what is open rather than opens an absolute value.
    bar: bool,
    /// Whether units may follow a value here.
    quantities: bool,
    /// Parts so far that hold the one before them, as in `a/b/c`: they deepen the tree without brackets.
    wraps: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&Kind<'a>> {
        self.kind(0)
    }

    fn kind(&self, ahead: usize) -> Option<&Kind<'a>> {
        self.tokens.get(self.at + ahead).map(|t| &t.kind)
    }

    fn symbol(&self) -> Option<char> {
        match self.peek() {
            Some(Kind::Symbol(c)) => Some(*c),
            _ => None,
        }
    }

    fn eat(&mut self, symbol: char) -> bool {
        let found = self.symbol() == Some(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, kind: &Kind<'_>) -> Result<(), Stop> {
        if self.peek() == Some(kind) {
            self.at += 1;
            return Ok(());
        }
        Err(Stop::Syntax)
    }

    fn node(&mut self) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES { Err(Stop::Limit(LimitError::Nodes)) } else { Ok(()) }
    }

    /// A part that holds the one before it.
    fn wrap(&mut self) -> Result<(), Stop> {
        self.wraps += 1;
        if self.wraps > 2 * DEPTH { Err(Stop::Limit(LimitError::Depth)) } else { Ok(()) }
    }

    /// One level deeper: in brackets, radicals, exponents and arguments.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Stop::Limit(LimitError::Depth));
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// In brackets: `|` opens again, and units may stand.
    fn enclosed<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        let before = (std::mem::replace(&mut self.bar, false), self.quantities);
        let result = self.deeper(parse);
        (self.bar, self.quantities) = before;
        result
    }

    fn separator(&mut self) -> Option<Separator> {
        let mut found = None;
        loop {
            let one = match self.peek()? {
                Kind::Symbol(',') => Separator::Comma,
                Kind::Symbol(';') => Separator::Semicolon,
                Kind::Letters("and") => Separator::And,
                Kind::Letters("or") => Separator::Word,
                Kind::Symbol('&') if found.is_some() => Separator::Comma,
                Kind::Text(words) => match words.trim().trim_matches(|c| ",;".contains(c)).trim() {
                    "and" => Separator::And,
                    "or" | "" => Separator::Word,
                    _ => return found,
                },
                Kind::Command("lor" | "vee") => Separator::Word,
                Kind::Command("land" | "wedge") => Separator::And,
                _ => return found,
            };
            found = match found {
                Some(Separator::Semicolon) => found,
                Some(Separator::Comma) if matches!(one, Separator::Word | Separator::And) => found,
                _ => Some(one),
            };
            self.at += 1;
        }
    }

    /// Elements and what separates them, until something that is neither.
    fn elements(&mut self) -> Result<(Vec<Expr>, Vec<Separator>), Stop> {
        let mut elements = vec![self.relation()?];
        let mut separators = Vec::new();
        while let Some(separator) = self.separator() {
            // a comma at the end separates nothing
            if self.peek().is_none() {
                break;
            }
            separators.push(separator);
            elements.push(self.relation()?);
        }
        Ok((elements, separators))
    }

    /// One element, or a list; a list of groups where semicolons separate groups.
    fn list(&mut self) -> Parsed {
        let (elements, separators) = self.elements()?;
        Ok(grouped(elements, &separators))
    }

    fn relator(&mut self) -> Option<Relator> {
        let relator = match self.peek()? {
            Kind::Symbol('=') => Relator::Equal,
            Kind::Symbol('≠') => Relator::NotEqual,
            Kind::Symbol('<') => Relator::Less,
            Kind::Symbol('>') => Relator::Greater,
            Kind::Symbol('≤') => Relator::LessEqual,
            Kind::Symbol('≥') => Relator::GreaterEqual,
            Kind::Command("approx") => Relator::Approx,
            Kind::Command("in") => Relator::In,
            Kind::Command("notin") => Relator::NotIn,
            Kind::Command("subset") => Relator::Subset,
            Kind::Command(
                "equiv" | "sim" | "to" | "cong" | "propto" | "perp" | "parallel" | "Leftrightarrow" | "iff"
                | "mapsto",
            ) => Relator::Other,
            Kind::Command("not") => {
                let negated = match self.kind(1)? {
                    Kind::Symbol('=') => Relator::NotEqual,
                    Kind::Command("in") => Relator::NotIn,
                    _ => return None,
                };
                self.at += 1;
                negated
            }
            _ => return None,
        };
        self.at += 1;
        Some(relator)
    }

    fn relation(&mut self) -> Parsed {
        let mut rest = Vec::new();
        let first = match self.relator() {
            // `≈ 17.1` and `= 5` are 17.1 and 5
            None | Some(Relator::Equal | Relator::Approx) => self.union()?,
            // `> 5` is about something without a name
            Some(relator) => {
                let side = self.union()?;
                rest.push((relator, side));
                Expr::Variable("".into())
            }
        };
        while let Some(relator) = self.relator() {
            let side = self.union()?;
            self.node()?;
            rest.push((relator, side));
        }
        Ok(if rest.is_empty() { first } else { Expr::Relation(Box::new(first), rest) })
    }

    fn union(&mut self) -> Parsed {
        let mut sets = vec![self.ratio()?];
        loop {
            match self.peek() {
                Some(Kind::Command("cup")) => {
                    self.at += 1;
                    sets.push(self.ratio()?);
                }
                Some(Kind::Letters("U"))
                    if matches!(sets.last(), Some(Expr::Interval(..) | Expr::Tuple(_))) =>
                {
                    self.at += 1;
                    sets.push(self.ratio()?);
                }
                Some(Kind::Command("setminus")) => {
                    self.at += 1;
                    let without = self.ratio()?;
                    self.wrap()?;
                    let from = one_or(sets, Expr::Union);
                    sets = vec![Expr::Without(Box::new(from), Box::new(without))];
                }
                Some(Kind::Command("cap")) => {
                    self.at += 1;
                    let other = self.ratio()?;
                    self.wrap()?;
                    sets = vec![Expr::Opaque("cap".into(), vec![one_or(sets, Expr::Union), other])];
                }
                _ => return Ok(one_or(sets, Expr::Union)),
            }
            self.node()?;
        }
    }

    fn ratio(&mut self) -> Parsed {
        let start = self.at;
        let mut parts = vec![self.sum()?];
        while self.symbol() == Some(':') && !matches!(self.kind(1), Some(Kind::Symbol('=')) | None) {
            self.at += 1;
            self.node()?;
            parts.push(self.sum()?);
        }
        if parts.len() > 1
            && let Some(time) = self.time(start)
        {
            return Ok(time);
        }
        Ok(one_or(parts, Expr::Ratio))
    }

    /// The tokens from `start` as a time, where they have two-digit minutes that begin with 0, or am or pm after them.
    fn time(&mut self, start: usize) -> Option<Expr> {
        let mut parts = Vec::new();
        for token in self.tokens[start..self.at].iter().step_by(2) {
            match &token.kind {
                Kind::Number(n) if n.bytes().all(|b| b.is_ascii_digit()) => parts.push(n.as_ref()),
                _ => return None,
            }
        }
        if self.at - start != 2 * parts.len() - 1 {
            return None;
        }
        let half = half_of_day(&self.tokens[self.at..]);
        let padded = parts[1..].iter().any(|p| p.len() == 2 && p.starts_with('0'));
        if half.is_none() && !padded {
            return None;
        }
        let values = parts.iter().map(|p| p.parse().ok()).collect::<Option<Vec<u32>>>()?;
        if let Some((_, used)) = half {
            self.at += used;
        }
        Some(Expr::Time(values, half.map(|(pm, _)| pm)))
    }

    fn sum(&mut self) -> Parsed {
        let mut terms = vec![self.term()?];
        loop {
            let sign = match self.peek() {
                Some(Kind::Symbol(c @ ('+' | '-'))) => *c,
                Some(Kind::Command("pm")) => '±',
                Some(Kind::Command("mp")) => '∓',
                _ => break,
            };
            self.at += 1;
            self.node()?;
            let term = self.term()?;
            terms.push(match sign {
                '+' => term,
                '-' => Expr::Negative(Box::new(term)),
                sign => Expr::PlusMinus(Box::new(term), sign == '±'),
            });
        }
        let sum = one_or(terms, Expr::Sum);
        self.quantity(sum)
    }

    /// The value with the unit after it, if there is one.
    fn quantity(&mut self, value: Expr) -> Parsed {
        if !self.quantities || self.depth > 2 {
            return Ok(value);
        }
        let half = half_of_day(&self.tokens[self.at..]);
        if half.is_some() && self.at > 1 && self.tokens[self.at - 2].kind == Kind::Symbol(':') {
            // minutes: the time is read as a whole
            return Ok(value);
        }
        if let (Expr::Number(n), Some((pm, used))) = (&value, half)
            && let Ok(hour) = u32::try_from(n.value.numerator().clone())
            && n.value.is_int()
        {
            self.at += used;
            return Ok(Expr::Time(vec![hour], Some(pm)));
        }
        if let Some(Kind::Symbol(c @ ('$' | '€' | '£' | '¥' | '₹'))) = self.peek() {
            let unit = currency(*c);
            self.at += 1;
            return Ok(Expr::Quantity(Box::new(value), unit));
        }
        let percent = match self.peek() {
            Some(Kind::Letters("percent" | "pct" | "percentage")) => true,
            Some(Kind::Text(t)) => matches!(t.trim(), "percent" | "%" | "pct" | r"\%"),
            _ => false,
        };
        if percent {
            self.at += 1;
            let value = Expr::Percent(Box::new(value));
            return self.deeper(|p| p.quantity(value));
        }
        if let Some((factor, used)) = scale(&self.tokens[self.at..]) {
            self.at += used;
            let value = Expr::Product(vec![value, Expr::integer(factor)]);
            return self.deeper(|p| p.quantity(value));
        }
        match units::read(&self.tokens[self.at..]) {
            Some((unit, used)) if used > 0 => {
                self.at += used;
                if unit.name.as_ref() == "degree" {
                    return Ok(Expr::Product(vec![value, Expr::Constant(Constant::Degree)]));
                }
                let quantity = Expr::Quantity(Box::new(value), unit.clone());
                self.compound(quantity, &unit)
            }
            _ => Ok(value),
        }
    }

    /// `1 hour 30 minutes`: quantities of one dimension side by side are their sum, in the unit of the first.
    fn compound(&mut self, quantity: Expr, unit: &units::Unit) -> Parsed {
        let Some(Kind::Number(text)) = self.peek() else { return Ok(quantity) };
        let number = literal::number(text)?;
        let Some((other, used)) = units::read(&self.tokens[self.at + 1..]) else { return Ok(quantity) };
        let units::Match::Factor(factor) = other.compare(unit) else { return Ok(quantity) };
        let Expr::Quantity(value, unit) = quantity else { return Ok(quantity) };
        self.at += 1 + used;
        self.wrap()?;
        let factor = Expr::Number(crate::tree::Number { value: factor, decimal: None });
        let part = Expr::Product(vec![Expr::Number(number), factor]);
        Ok(Expr::Quantity(Box::new(Expr::Sum(vec![*value, part])), unit))
    }

    /// Signs and a product.
    fn term(&mut self) -> Parsed {
        let mut negative = false;
        loop {
            match self.peek() {
                Some(Kind::Symbol('-')) => negative = !negative,
                Some(Kind::Symbol('+')) => {}
                Some(Kind::Command(sign @ ("pm" | "mp"))) => {
                    let upper = *sign == "pm";
                    self.at += 1;
                    let term = self.deeper(Self::term)?;
                    let both = Expr::PlusMinus(Box::new(term), upper);
                    return Ok(if negative { both.negative() } else { both });
                }
                _ => break,
            }
            self.at += 1;
        }
        let product = self.product()?;
        Ok(if negative { Expr::Negative(Box::new(product)) } else { product })
    }

    fn product(&mut self) -> Parsed {
        let mut factors = vec![self.power()?];
        loop {
            match self.peek() {
                Some(Kind::Symbol('*')) => {
                    self.at += 1;
                    factors.push(self.factor()?);
                }
                Some(Kind::Symbol('/')) => {
                    self.at += 1;
                    let below = self.factor()?;
                    if factors.iter().any(|f| matches!(f, Expr::Quotient(..))) {
                        self.wrap()?;
                    }
                    let above = one_or(factors, Expr::Product);
                    factors = vec![Expr::Quotient(Box::new(above), Box::new(below))];
                }
                Some(Kind::Letters("x" | "X")) if self.times_ten() => {
                    self.at += 1;
                    factors.push(self.power()?);
                }
                Some(Kind::Command("mod" | "bmod" | "pmod")) => {
                    self.at += 1;
                    let modulus = self.factor()?;
                    self.wrap()?;
                    let value = one_or(factors, Expr::Product);
                    factors = vec![Expr::Opaque("mod".into(), vec![value, modulus])];
                }
                _ if self.implied(factors.last()) => factors.push(self.power()?),
                _ => break,
            }
            self.node()?;
        }
        Ok(one_or(factors, Expr::Product))
    }

    /// A factor after a written operator: it may have a sign.
    fn factor(&mut self) -> Parsed {
        let mut negative = false;
        while let Some(sign @ ('-' | '+')) = self.symbol() {
            negative ^= sign == '-';
            self.at += 1;
        }
        let factor = self.power()?;
        Ok(if negative { Expr::Negative(Box::new(factor)) } else { factor })
    }

    /// Whether the letter x stands for "times" here, as in `1.5 x 10^3`.
    fn times_ten(&self) -> bool {
        matches!(self.kind(1), Some(Kind::Number(n)) if n == "10") && self.kind(2) == Some(&Kind::Symbol('^'))
    }

    /// Whether a factor follows without an operator.
    fn implied(&self, last: Option<&Expr>) -> bool {
        match self.peek() {
            Some(Kind::Number(_)) => !matches!(
                last,
                Some(Expr::Number(_) | Expr::Variable(_) | Expr::Text(_) | Expr::Power(..)) | None
            ),
            Some(Kind::Letters(word)) => {
                !matches!(*word, "and" | "or" | "percent" | "pct") && !self.unit_ahead(last)
            }
            Some(Kind::Command(name)) => function::starts_atom(name),
            Some(Kind::Open | Kind::Begin(_)) => true,
            Some(Kind::Text(content)) => {
                (name::letter(content).is_some() || function::named(content.trim()).is_some())
                    && !self.unit_ahead(last)
            }
            Some(Kind::Symbol('(' | '⌊' | '⌈' | '[')) => true,
            Some(Kind::Symbol('|')) => !self.bar,
            Some(Kind::Symbol(c)) => c.is_alphabetic() && name::greek(*c) && last.is_some(),
            _ => false,
        }
    }

    /// Whether a unit and the end of the element follow.
    fn unit_ahead(&self, last: Option<&Expr>) -> bool {
        if !self.quantities || self.depth > 2 || last.is_none() {
            return false;
        }
        let letters = match self.peek() {
            Some(Kind::Letters(word)) => *word,
            Some(Kind::Text(_)) => "",
            _ => return false,
        };
        if half_of_day(&self.tokens[self.at..]).is_some() || scale(&self.tokens[self.at..]).is_some() {
            return true;
        }
        let minutes = letters == "min"
            && !matches!(self.kind(1), Some(Kind::Open | Kind::Symbol('(' | '{' | '[' | '_')));
        if !letters.is_empty()
            && !minutes
            && (letters.len() == 1 || function::named(letters).is_some() || letters == "pi")
        {
            return false;
        }
        match units::read(&self.tokens[self.at..]) {
            Some((_, used)) => matches!(
                self.kind(used),
                None | Some(
                    Kind::Symbol(',' | ';' | ')' | ']' | '}' | '.' | '=' | '<' | '>' | '≤' | '≥')
                        | Kind::Text(_)
                        | Kind::Letters("and" | "or")
                        | Kind::Command("approx")
                        | Kind::Close
                )
            ),
            None => false,
        }
    }

    fn power(&mut self) -> Parsed {
        let atom = self.atom()?;
        let mut base = self.postfix(atom)?;
        while self.symbol() == Some('^') {
            self.at += 1;
            if let Some(used) = self.circle() {
                self.at += used;
                self.wrap()?;
                base = Expr::Product(vec![base, Expr::Constant(Constant::Degree)]);
                continue;
            }
            if let Some(primes) = self.primes() {
                base = match base {
                    Expr::Variable(name) => Expr::Variable(format!("{name}{primes}").into()),
                    Expr::Call(name, arguments) => Expr::Call(format!("{name}{primes}").into(), arguments),
                    _ => return Err(Stop::Syntax),
                };
                base = self.call(base)?;
                continue;
            }
            let exponent = self.deeper(Self::exponent)?;
            self.node()?;
            if matches!(base, Expr::Power(..)) {
                self.wrap()?;
            }
            base = Expr::Power(Box::new(base), Box::new(exponent));
            base = self.postfix(base)?;
        }
        Ok(base)
    }

    fn exponent(&mut self) -> Parsed {
        let mut negative = false;
        while let Some(sign @ ('-' | '+')) = self.symbol() {
            negative ^= sign == '-';
            self.at += 1;
        }
        let atom = self.atom()?;
        let mut exponent = atom;
        if self.symbol() == Some('!') {
            exponent = self.postfix(exponent)?;
        }
        if self.symbol() == Some('^') {
            self.at += 1;
            let tower = self.deeper(Self::exponent)?;
            exponent = Expr::Power(Box::new(exponent), Box::new(tower));
        }
        Ok(if negative { Expr::Negative(Box::new(exponent)) } else { exponent })
    }

    /// Tokens of a degree sign after `^`.
    fn circle(&self) -> Option<usize> {
        let circle = |ahead| matches!(self.kind(ahead), Some(Kind::Command("circ") | Kind::Symbol('°')));
        if circle(0) {
            return Some(1);
        }
        (self.peek() == Some(&Kind::Open) && circle(1) && self.kind(2) == Some(&Kind::Close)).then_some(3)
    }

    /// Primes after `^`, in braces or not.
    fn primes(&mut self) -> Option<String> {
        let open = usize::from(self.peek() == Some(&Kind::Open));
        let count = (0..4).take_while(|i| self.kind(open + i) == Some(&Kind::Symbol('\''))).count();
        if count == 0 || open == 1 && self.kind(1 + count) != Some(&Kind::Close) {
            return None;
        }
        self.at += count + 2 * open;
        Some("'".repeat(count))
    }

    /// What follows an atom.
    fn postfix(&mut self, mut atom: Expr) -> Parsed {
        loop {
            atom = match self.symbol() {
                Some('!') if self.kind(1) == Some(&Kind::Symbol('!')) => {
                    self.at += 2;
                    Expr::Apply(crate::tree::Function::DoubleFactorial, vec![atom])
                }
                Some('!') => {
                    self.at += 1;
                    Expr::Apply(crate::tree::Function::Factorial, vec![atom])
                }
                Some('%') => {
                    self.at += 1;
                    Expr::Percent(Box::new(atom))
                }
                Some('°') => {
                    self.at += 1;
                    Expr::Product(vec![atom, Expr::Constant(Constant::Degree)])
                }
                _ => return Ok(atom),
            };
            self.wrap()?;
        }
    }
}

/// The only element, or all of them made one.
fn one_or(mut elements: Vec<Expr>, make: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match elements.pop() {
        Some(only) if elements.is_empty() => only,
        Some(last) => {
            elements.push(last);
            make(elements)
        }
        None => make(elements),
    }
}

/// A list of elements; of groups, where semicolons separate groups or words separate groups of the same names.
fn grouped(elements: Vec<Expr>, separators: &[Separator]) -> Expr {
    if elements.len() < 2 {
        return one_or(elements, Expr::List);
    }
    let has = |s: Separator| separators.contains(&s);
    let splits = |strong: &dyn Fn(Separator) -> bool| {
        let mut groups: Vec<Vec<Expr>> = vec![Vec::new()];
        for (i, element) in elements.iter().enumerate() {
            if i > 0 && strong(separators[i - 1]) {
                groups.push(Vec::new());
            }
            if let Some(group) = groups.last_mut() {
                group.push(element.clone());
            }
        }
        groups
    };
    let list =
        |groups: Vec<Vec<Expr>>| Expr::List(groups.into_iter().map(|g| one_or(g, Expr::List)).collect());
    if has(Separator::Semicolon) && has(Separator::Comma) {
        return list(splits(&|s| s == Separator::Semicolon));
    }
    let word = |s: Separator| matches!(s, Separator::Word | Separator::And);
    let inequality = |e: &Expr| matches!(e, Expr::Relation(_, rest) if rest.iter().all(|(r, _)| matches!(r, Relator::Less | Relator::LessEqual | Relator::Greater | Relator::GreaterEqual | Relator::NotEqual)));
    if separators.iter().all(|s| *s == Separator::And) && elements.iter().all(inequality) {
        return Expr::Opaque("and".into(), elements);
    }
    if separators.iter().any(|s| word(*s)) && has(Separator::Comma) {
        let groups = splits(&word);
        let names = |group: &Vec<Expr>| group.iter().map(name::assigned).collect::<Option<Vec<_>>>();
        let first = groups.first().and_then(names);
        if first.is_some() && groups.len() > 1 && groups.iter().all(|g| g.len() > 1 && names(g) == first) {
            return list(groups);
        }
    }
    Expr::List(elements)
}

/// `am` or `pm` at the start of the tokens: whether it is pm, and how many tokens.
fn half_of_day(tokens: &[Token<'_>]) -> Option<(bool, usize)> {
    let word = match &tokens.first()?.kind {
        Kind::Letters(word) => *word,
        Kind::Text(word) => word.trim(),
        _ => return None,
    };
    match word.to_ascii_lowercase().replace('.', "").as_str() {
        "am" => Some((false, 1)),
        "pm" => Some((true, 1)),
        half @ ("a" | "p") => {
            let dotted = tokens.get(1)?.kind == Kind::Symbol('.')
                && matches!(tokens.get(2)?.kind, Kind::Letters("m" | "M"));
            let end = usize::from(tokens.get(3).is_some_and(|t| t.kind == Kind::Symbol('.')));
            dotted.then_some((half == "p", 3 + end))
        }
        _ => None,
    }
}

/// A word that multiplies, such as "million".
fn scale(tokens: &[Token<'_>]) -> Option<(i64, usize)> {
    let word = match &tokens.first()?.kind {
        Kind::Letters(word) => *word,
        Kind::Text(word) => word.trim(),
        _ => return None,
    };
    let factor = match word {
        "dozen" => 12,
        "hundred" => 100,
        "thousand" => 1000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    };
    Some((factor, 1))
}

/// The unit of a currency sign.
fn currency(sign: char) -> units::Unit {
    let dollar = || units::Unit::named("dollar");
    let noun = |name: &str| units::Unit { name: name.into(), known: None };
    match sign {
        '$' => dollar().unwrap_or_else(|| noun("dollar")),
        '€' => noun("euro"),
        '£' => noun("sterling"),
        '¥' => noun("yen"),
        _ => noun("rupee"),
    }
}

/// Whether a name is that of a letter such as `alpha`, which LaTeX writes as a command.
pub(crate) fn is_letter(name: &str) -> bool {
    function::letter(name) || name == "theta"
}

/// Whether a run of letters is a name of mathematics rather than a word.
pub(crate) fn known(run: &str) -> bool {
    function::named(run).is_some()
        || function::letter(run)
        || matches!(run, "sqrt" | "and" | "pi" | "inf" | "infty" | "infinity" | "xyz" | "abc" | "mod")
}

//! The Pratt parser: tokens to a typed tree. Its levels, from loose to tight: lists, relations, unions, ratios,
//! sums, products (written or implied), signs, powers, what follows an atom (`!`, `%`, degrees), atoms.

mod atom;
mod function;
mod list;
mod literal;
mod name;
mod quantity;

pub(crate) use function::{is_letter, known, reads, reads_environment};

use crate::lex::{Kind, Token};
use crate::limits::{DEPTH, LimitError, NODES};
use crate::tree::{Constant, Expr, Relator};
use list::{grouped, one_or};
use quantity::currency;

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The tokens are no mathematics that is known here.
    Syntax,
    /// They are beyond a limit.
    Limit(LimitError),
}

type Parsed = Result<Expr, Stop>;

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
                Some(Kind::Command("cup" | "bigcup")) => {
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

    fn power(&mut self) -> Parsed {
        let atom = self.atom()?;
        let mut base = self.postfix(atom)?;
        while self.symbol() == Some('^') {
            self.at += 1;
            if let Some(used) = self.circle() {
                self.at += used;
                self.wrap()?;
                let scale = quantity::temperature(self.peek()).filter(|_| self.quantities);
                if let Some(unit) = scale {
                    self.at += 1;
                    return Ok(Expr::Quantity(Box::new(base), unit));
                }
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
            if let Some(turned) = self.transposed(&base) {
                base = turned;
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

    /// A row of values with `^T` after it as a column.
    fn transposed(&mut self, base: &Expr) -> Option<Expr> {
        let open = usize::from(self.peek() == Some(&Kind::Open));
        let letter = match self.kind(open)? {
            Kind::Letters(letter) | Kind::Text(letter) => *letter,
            Kind::Command("top" | "intercal") => "T",
            _ => return None,
        };
        let values = match base {
            Expr::Tuple(values) => values.clone(),
            Expr::Interval(a, b, from, to) if from == to => vec![(**a).clone(), (**b).clone()],
            _ => return None,
        };
        if letter.trim() != "T" || open == 1 && self.kind(2) != Some(&Kind::Close) {
            return None;
        }
        self.at += 1 + 2 * open;
        Some(Expr::Matrix(values.into_iter().map(|value| vec![value]).collect()))
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
                    if let Some(unit) = quantity::temperature(self.peek()).filter(|_| self.quantities) {
                        self.at += 1;
                        return Ok(Expr::Quantity(Box::new(atom), unit));
                    }
                    Expr::Product(vec![atom, Expr::Constant(Constant::Degree)])
                }
                _ => return Ok(atom),
            };
            self.wrap()?;
        }
    }
}

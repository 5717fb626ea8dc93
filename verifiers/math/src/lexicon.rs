//! Words beside numbers, in one table: those that scale a number, those that take it back or change it, those that say
//! nothing, and nouns that are often counted. A word beside a number that is in none of these is not passed over unless
//! something else vouches for it ([`Context`]): what was said of the number is not known.

use crate::words::numeral;
use std::collections::HashSet;
use std::sync::LazyLock;

/// What a word multiplies the number before it by, in any case and number.
pub(crate) fn scale(word: &str) -> Option<i64> {
    let lower = word.to_lowercase();
    let stem = lower.strip_suffix('s').filter(|s| s.len() > 2).unwrap_or(&lower);
    Some(match stem {
        "dozen" => 12,
        "score" => 20,
        "hundred" => 100,
        "gros" => 144,
        "thousand" => 1000,
        "lakh" | "lac" => 100_000,
        "million" | "mln" => 1_000_000,
        "crore" => 10_000_000,
        "billion" | "bln" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        "quadrillion" => 1_000_000_000_000_000,
        "quintillion" => 1_000_000_000_000_000_000,
        _ if lower == "mn" => 1_000_000,
        _ if lower == "bn" => 1_000_000_000,
        _ if lower == "tn" => 1_000_000_000_000,
        _ => return None,
    })
}

/// What a word divides the number before it by: 4 for "quarters", 12 for "twelfth". "Second" is a time.
pub(crate) fn part(word: &str) -> Option<i64> {
    let lower = word.to_lowercase();
    let stem = lower.strip_suffix('s').unwrap_or(&lower);
    match stem {
        "half" | "halve" => return Some(2),
        "third" => return Some(3),
        "quarter" | "fourth" => return Some(4),
        "fifth" => return Some(5),
        "eighth" => return Some(8),
        "ninth" => return Some(9),
        "twelfth" => return Some(12),
        _ => {}
    }
    let cardinal = stem.strip_suffix("ieth").map(|s| format!("{s}y"));
    let cardinal = cardinal.or_else(|| stem.strip_suffix("th").map(str::to_owned))?;
    numeral(&cardinal).filter(|n| *n > 2).or_else(|| scale(&cardinal).filter(|_| cardinal != "gros"))
}

/// Words that take back what is said of a number, or offer something in its place.
const DENIALS: &str = "\
    never not no none nor neither cannot cant isnt arent wasnt dont doesnt isn aren wasn don doesn didn couldn \
    wouldn shouldn nope nah without except excluding excluded exclude excludes but unless instead rather besides \
    wrong wrongly incorrect incorrectly false untrue invalid impossible improbable unlikely hardly barely scarcely \
    unknown unclear undefined unsure uncertain undetermined indeterminate nonexistent reject rejected rejects ignore \
    ignored ignores disregard discard discarded fails failed fail contradicts contradiction mistake mistaken error \
    fake absurd nonsense doubt doubtful doubted maybe perhaps possibly probably presumably supposedly allegedly \
    guess either or otherwise alternatively vs versus alt wait sorry actually correction corrected oops hmm anything";

/// Words that change a number beside them, relate it to something else, or say that nothing follows that it counts.
const CHANGES: &str = "\
    exclusive least most less more than fewer greater smaller larger bigger higher lower above below under over \
    beyond within between plus minus times negative opposite additive inverse inverted reciprocal negated doubled \
    double doubles doubling twice tripled triple thrice halved squared cubed factorial factorials root power \
    exponent log ln sin cos tan exp sqrt sum difference product quotient ratio remainder multiple divisor divisible \
    modulo mod multiplied divided raised increase increased decrease decreased deficit surplus off short extra \
    fraction point base where for with if when while until till since because so as which that whose close near \
    nearly almost approaching nearest st nd rd th tens grand googol infinity infinite pi oo yes true is was are be \
    been being am change changed changes minusculed choose through thru to from into onto out up down and";

/// Words of other languages that do the same.
const DENIALS_ELSEWHERE: &str = "pas jamais sauf nicht kein keine nie außer oder ou et no nunca salvo excepto 不 不是 没 没有 非 错 错误 或 或者 除 ليس أو नहीं या";

/// Words in an announced sentence that say nothing about the number after them.
const FILLERS: &str = "\
    number integer a an the therefore thus hence then so simply just exactly precisely equal equals to approximately approx about \
    roughly around only indeed clearly given by namely found be is are was were it this that final result value \
    total of answer also";

/// Words after a number, with its unit, that say nothing about it.
const TRAILING: &str = "\
    altogether overall left remaining each long tall wide old away deep high now there respectively apiece है";

/// Verbs that say what a number is, or who has it.
const VERBS: &str = "
    is are was were be equals equal makes make made gives give gave yields has have had costs cost pays paid earns earned gets got
    takes took needs weighs contains holds spends spent sold sells buys bought reads travels drove walks saves saved owes becomes
    est sont ist sind beträgt lautet es son";

/// Words of a subject that make it something else than what the number after the verb is: "the number whose square is 16".
const RELATIVES: &str = "\
    whose such that which where when if who what how why until after before";

/// Nouns that are counted or named with numbers, and their adjectives: singular, lower case.
const COUNTED: &str = "\
    unit square cubic item thing object piece part portion share slice set group pair couple batch stack pile row \
    column line page word letter digit number integer value term factor prime solution answer choice option way case \
    outcome possibility arrangement permutation combination path route step move turn round game match goal mark \
    grade vote seat ticket trip lap visit call message email post photo picture video song movie show episode book \
    notebook magazine newspaper chapter paragraph sentence problem question exercise test exam quiz lesson class \
    course student pupil teacher professor child kid boy girl man woman men women people person children adult baby \
    family member friend guest player team worker employee customer client passenger driver farmer soldier sailor \
    doctor nurse patient neighbor resident citizen visitor candidate brother sister son daughter cousin parent \
    animal dog cat puppy kitten bird chicken hen duck goose cow calf horse pig sheep goat rabbit mouse mice fish \
    frog turtle snake bee ant butterfly insect fly spider lion tiger bear elephant monkey deer wolf fruit apple \
    orange banana pear peach plum grape lemon lime mango melon watermelon cherry berry strawberry blueberry pumpkin \
    coconut pineapple vegetable tomato potato onion carrot bean pea cucumber pepper egg cookie cake cupcake pie \
    pizza donut muffin sandwich burger candy chocolate lollipop marshmallow biscuit cracker bread loaf loaves bagel \
    bun roll noodle meal snack lunch dinner breakfast drink juice soda coffee tea milk water bottle can cup glass \
    jar jug mug bowl plate dish fork spoon knife tray basket bag sack box boxes carton crate packet pack package \
    bucket barrel tank tub tube bin drawer shelf shelves bookshelf table chair desk bed sofa lamp door window wall \
    room floor house home apartment building tower store shop office school classroom library hospital hotel city \
    town village country state street road block bridge station stop car truck bus bike bicycle motorcycle train \
    plane airplane boat ship wheel tire ride flight toy doll ball balloon kite puzzle card coin bill note stamp \
    sticker marble bead button pin pen pencil crayon marker eraser ruler paper sheet envelope brush paint color \
    colour shirt dress skirt sock shoe boot hat cap coat jacket glove scarf sweater ring necklace bracelet earring \
    watch clock phone computer laptop tablet camera battery bulb light candle flower rose tulip tree plant seed leaf \
    leaves branch bush garden field acre farm rock stone brick tile board plank stick rope string wire nail screw \
    tool hammer machine robot engine gear pound penny pennies nickel dime cent dollar buck euro yuan yen rupee peso \
    won ruble franc krone lira lire real rand baht dinar dirham shekel zloty forint kuna pula naira shilling ringgit \
    rupiah dong koruna sterling quid gold silver day week month year decade century centuries night morning hour \
    minute second time shift session period season summer holiday weekend birthday age liter gallon quart pint ounce \
    gram ton teaspoon tablespoon scoop serving calorie degree radian foot feet inch yard meter metre mile kilometer \
    hectare bit byte pixel file program function element subset vertex vertices edge face side angle triangle \
    rectangle circle polygon pentagon hexagon diagonal region intersection chord sphere cube cell grid domino dice \
    die throw toss flip draw spin head tail ace king queen jack spade heart club diamond suit deck hand subject \
    sample participant red blue green yellow black white brown pink purple gray grey big large small little tiny \
    tall long new old whole full empty different distinct possible valid positive even odd complex rational natural \
    total correct such consecutive ordered unordered linear regular equal good bad broken fresh ripe rotten sweet \
    free daily weekly monthly yearly lattice common available remaining left each every per of in the a an approx \
    zeros divisors points roots";

/// Chinese measure words and units beside those of the table of units.
const MEASURES: &str = "个 只 颗 元 人 本 张 块 岁 次 名 位 件 辆 棵 页 天 年 月 日 周 时 分 秒 米 度 倍 种 条 支 把 双 对 组 级 层 间 箱 \
    盒 袋 瓶 杯 斤 克 吨 角 道 题 场 座 句 字 台 套 根 朵 头 匹 架 艘 顶 粒 枚 份 家 所 号 步 圈 项 株 排 列 行 平 方 立 厘 毫 千 公 里 升 亩 小 \
    钱 糖 果 苹 车 书 鸡 蛋 学 生 朋 友 钟 美";

fn set(words: &'static str) -> HashSet<&'static str> {
    words.split_whitespace().collect()
}

static DENYING: LazyLock<HashSet<&str>> =
    LazyLock::new(|| set(DENIALS).into_iter().chain(set(DENIALS_ELSEWHERE)).collect());
static CHANGING: LazyLock<HashSet<&str>> = LazyLock::new(|| set(CHANGES));
static FILLING: LazyLock<HashSet<&str>> = LazyLock::new(|| set(FILLERS));
static AFTER: LazyLock<HashSet<&str>> = LazyLock::new(|| set(TRAILING));
static SAYING: LazyLock<HashSet<&str>> = LazyLock::new(|| set(VERBS));
static RELATING: LazyLock<HashSet<&str>> = LazyLock::new(|| set(RELATIVES));
static NOUNS: LazyLock<HashSet<&str>> = LazyLock::new(|| set(COUNTED));
static MEASURING: LazyLock<HashSet<&str>> = LazyLock::new(|| set(MEASURES));

/// Makes the tables, so that no verdict waits for them.
pub(crate) fn prepare() {
    let tables = [&DENYING, &CHANGING, &FILLING, &AFTER, &SAYING, &RELATING, &NOUNS, &MEASURING];
    tables.into_iter().for_each(|table| {
        LazyLock::force(table);
    });
}

fn has(table: &HashSet<&str>, word: &str) -> bool {
    table.contains(word) || table.contains(word.to_lowercase().as_str())
}

/// Whether a word takes back what is said.
pub(crate) fn denies(word: &str) -> bool {
    has(&DENYING, word) || word.to_lowercase().replace('’', "'").ends_with("n't")
}

/// Whether a word changes a number beside it, takes it back, or is a number itself.
pub(crate) fn changes(word: &str) -> bool {
    denies(word)
        || has(&CHANGING, word)
        || numeral(&word.to_lowercase()).is_some()
        || scale(word).is_some()
        || part(word).is_some()
}

/// Whether words take back what is beside them, or change it: they are no label and no name.
pub(crate) fn no_label(text: &str) -> bool {
    words(text)
        .any(|word| denies(word) || part(word).is_some() || matches!(word, "twice" | "double" | "triple"))
}

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '’')
        .map(|w| w.trim_matches(['\'', '’']))
        .filter(|w| !w.is_empty())
}

/// Whether a word says nothing about the number after it.
pub(crate) fn fills(word: &str) -> bool {
    has(&FILLING, word)
}

/// Whether a word says nothing about the number before it.
pub(crate) fn trails(word: &str) -> bool {
    has(&AFTER, word)
}

/// Whether a word is a verb that says what a number is.
pub(crate) fn says(word: &str) -> bool {
    has(&SAYING, word)
}

/// Whether a word of a subject makes it something else than the number that follows.
pub(crate) fn relates(word: &str) -> bool {
    has(&RELATING, word)
}

/// The stem of a noun.
pub(crate) fn stem(word: &str) -> String {
    let word = word.to_lowercase();
    if let Some(stem) = word.strip_suffix("ies").filter(|s| s.len() > 2) {
        return format!("{stem}y");
    }
    let plural = word.strip_suffix("es").filter(|s| s.ends_with(['x', 'h', 's'])).or(word.strip_suffix('s'));
    plural.filter(|s| s.len() > 1 && !s.ends_with('s')).unwrap_or(&word).to_owned()
}

/// Whether a word is a noun or adjective that numbers are often beside.
pub(crate) fn counted(word: &str) -> bool {
    let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    if word.chars().all(han) {
        return word.chars().all(|c| MEASURING.contains(c.encode_utf8(&mut [0; 4]) as &str));
    }
    has(&NOUNS, word) || NOUNS.contains(stem(word).as_str())
}

/// What vouches for words beside a number that no table knows: the problem's text and its gold answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// What was asked; may be empty.
    pub prompt: &'a str,
    /// The gold answer as written.
    pub gold: &'a str,
}

impl Context<'_> {
    /// Whether a word may be passed over beside a number: it is counted in the problem, or, where the problem's text is not
    /// known, has the shape of a plural.
    pub(crate) fn vouches(&self, word: &str) -> bool {
        if changes(word) {
            return false;
        }
        let stem_of = stem(word);
        let named = |text: &str| words(text).any(|w| w == word || stem(w) == stem_of);
        named(self.gold) || named(self.prompt) || self.prompt.trim().is_empty() && plural(word)
    }
}

/// Whether a word has the shape of a noun in the plural, or is of another alphabet, whose plurals have other shapes.
fn plural(word: &str) -> bool {
    let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    if !word.is_ascii() {
        return word.chars().count() > 2 && !word.chars().any(han);
    }
    let lower = word.to_lowercase();
    lower.len() > 3
        && lower.ends_with('s')
        && !["ss", "us", "is", "ways"].iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_and_parts_are_read_in_any_case_and_number() {
        for (word, factor) in [
            ("Million", 1_000_000),
            ("dozens", 12),
            ("LAKHS", 100_000),
            ("quadrillion", 1_000_000_000_000_000),
            ("bn", 1_000_000_000),
            ("gross", 144),
        ] {
            assert_eq!(scale(word), Some(factor), "{word}");
        }
        for (word, parts) in [
            ("quarters", 4),
            ("sixteenths", 16),
            ("twelfth", 12),
            ("twentieths", 20),
            ("Millionth", 1_000_000),
            ("halves", 2),
        ] {
            assert_eq!(part(word), Some(parts), "{word}");
        }
        for word in ["second", "month", "tooth", "math", "k", "apples", "south"] {
            assert_eq!((scale(word), part(word)), (None, None), "{word}");
        }
    }

    #[test]
    fn no_word_is_both_counted_and_a_change() {
        let both: Vec<&&str> = NOUNS.iter().filter(|w| changes(w)).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[test]
    fn unknown_words_are_vouched_for_by_the_problem_or_by_their_shape_where_it_is_not_known() {
        let problem = Context { prompt: "How many glorps does Xim have?", gold: "5" };
        assert!(problem.vouches("glorp") && problem.vouches("Glorps") && !problem.vouches("frobs"));
        let bare = Context::default();
        assert!(
            bare.vouches("frobs")
                && !bare.vouches("xyz")
                && !bare.vouches("nope")
                && !bare.vouches("excluded")
        );
    }
}

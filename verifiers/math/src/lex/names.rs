//! Names of LaTeX commands: those that only change the look, those that are space, words or fonts, and those that say
//! the same as another or as a symbol.

/// Commands that only change the look.
pub(super) const LOOK: &[&str] = &[
    "left",
    "right",
    "big",
    "Big",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "bigg",
    "Bigg",
    "biggl",
    "biggr",
    "Biggl",
    "Biggr",
    "displaystyle",
    "textstyle",
    "scriptstyle",
    "limits",
    "nolimits",
    "rm",
    "bf",
    "it",
    "middle",
    "mathstrut",
    "strut",
    "hline",
    "nonumber",
    "notag",
    "centering",
    "boldmath",
    "large",
    "Large",
    "small",
];

/// Commands that are space.
pub(super) const SPACE: &[&str] = &[
    "quad",
    "qquad",
    "enspace",
    "space",
    "thinspace",
    "hfill",
    "newline",
    "par",
    "hspace",
    "vspace",
    "phantom",
    "hphantom",
    "vphantom",
];

/// Commands whose argument is words.
pub(super) const TEXT: &[&str] = &[
    "text",
    "mbox",
    "textbf",
    "textit",
    "textrm",
    "textnormal",
    "mathrm",
    "hbox",
    "texttt",
    "textsf",
    "emph",
    "operatorname",
    "mathsf",
    "mathtt",
    "textup",
    "unit",
    "intertext",
    "textsc",
];

/// Commands whose argument is set in another font.
pub(super) const FONT: &[&str] = &[
    "mathbf",
    "boldsymbol",
    "mathit",
    "bm",
    "mathnormal",
    "boxed",
    "fbox",
    "underline",
    "color",
    "textcolor",
    "mathopen",
    "mathclose",
    "mathrel",
    "mathbin",
    "mathord",
    "smash",
];

/// The symbol that a command stands for.
pub(super) fn synonym(name: &str) -> Option<char> {
    Some(match name {
        "leq" | "leqslant" | "leqq" | "le" => '≤',
        "geq" | "geqslant" | "geqq" | "ge" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "cdot" | "times" | "ast" | "bullet" | "star" => '*',
        "div" => '/',
        "colon" => ':',
        "lbrace" => '{',
        "rbrace" => '}',
        "lparen" | "langle" => '(',
        "rparen" | "rangle" => ')',
        "lbrack" => '[',
        "rbrack" => ']',
        "vert" | "lvert" | "rvert" | "mid" => '|',
        "prime" => '\'',
        "degree" | "textdegree" => '°',
        "ldots" | "dots" | "cdots" | "dotsc" | "dotsb" | "vdots" => '…',
        "textdollar" => '$',
        _ => return None,
    })
}

/// The one name of commands that say the same.
pub(super) fn canonical(name: &str) -> &str {
    match name {
        "dfrac" | "tfrac" | "cfrac" | "nicefrac" | "sfrac" => "frac",
        "dbinom" | "tbinom" => "binom",
        "thickapprox" | "simeq" | "doteq" => "approx",
        "inf" => "infty",
        "tg" => "tan",
        "ctg" | "cotg" => "cot",
        "arctg" => "arctan",
        "rightarrow" | "longrightarrow" | "Rightarrow" | "implies" => "to",
        "subseteq" => "subset",
        "varnothing" => "emptyset",
        "varphi" => "phi",
        "varepsilon" => "epsilon",
        "backslash" => "setminus",
        name => name,
    }
}

//! The only place that makes sentences. They are kept in `locales/*.yml`, each in both languages side by side
//! (`_version: 2`), one file a feature; code names a text by its key and gives the values for its `%{placeholders}`.
//!
//! Texts of errors are found by code: `error.<CODE>.message` and `error.<CODE>.hint`. A code whose details differ from
//! case to case has a text of its own for a detail that is there: `error.<CODE>.message_<detail>`.

use renaksi_domain::quantity::indonesian;
use std::fmt::Display;
use std::sync::atomic::{AtomicU8, Ordering};

use renaksi_documents::Warning;

use crate::error::Rejected;
use crate::render::printable;

/// The languages of the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    Indonesian,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::English, Language::Indonesian];

    /// The code that `--lang` takes.
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Indonesian => "id",
        }
    }

    /// The language of a code or of a locale's name (`id`, `id_ID.UTF-8`, `in-ID`).
    pub fn from_name(name: &str) -> Option<Language> {
        let code = name.split(['-', '_', '.', '@']).next().unwrap_or_default().to_lowercase();
        match code.as_str() {
            "id" | "in" => Some(Language::Indonesian),
            "en" => Some(Language::English),
            _ => None,
        }
    }

    /// What the option says, else the environment, else the machine's locale, else English.
    pub fn choose(option: Option<&str>, variable: Option<&str>, locale: Option<&str>) -> Language {
        [option, variable, locale]
            .into_iter()
            .flatten()
            .find_map(Language::from_name)
            .unwrap_or(Language::English)
    }
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Sets the language of everything that is said from now on.
pub fn set_language(language: Language) {
    CHOSEN.store(language as u8, Ordering::Relaxed);
    rust_i18n::set_locale(language.code());
}

/// The language in use.
pub fn language() -> Language {
    Language::ALL[usize::from(CHOSEN.load(Ordering::Relaxed)) % Language::ALL.len()]
}

/// The text of a key that has no placeholders.
pub fn say(key: &str) -> String {
    with(key, &[])
}

/// The text of a key, its placeholders filled.
pub fn with(key: &str, values: &[(&str, &dyn Display)]) -> String {
    match template(language(), key) {
        Some(template) => fill(&template, |name| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        }),
        None => key.to_owned(),
    }
}

/// A text in one of two forms: `<key>.one` for one, `<key>.other` for any other number, which is `%{count}` in it.
pub fn count(key: &str, count: u64, values: &[(&str, &dyn Display)]) -> String {
    let form = if count == 1 { "one" } else { "other" };
    let values: Vec<(&str, &dyn Display)> =
        values.iter().copied().chain([("count", &count as &dyn Display)]).collect();
    with(&format!("{key}.{form}"), &values)
}

/// The office's word for a name that JSON spells in English (`term.<kind>.<name>`); the name itself when there is none.
pub fn term(kind: &str, name: &str) -> String {
    let slug = name.replace([' ', '-', '.'], "_");
    template(language(), &format!("term.{kind}.{slug}")).unwrap_or_else(|| name.to_owned())
}

/// True when a text of that key exists.
pub fn has(key: &str) -> bool {
    template(language(), key).is_some()
}

/// Message and hint of a cause. A code without a text (from a newer release) is named as it is.
pub fn error(cause: &Rejected) -> (String, String) {
    (message(cause), part(cause, "hint"))
}

/// The message of a cause alone. Of several commands it says too what was recorded all the same.
pub fn message(cause: &Rejected) -> String {
    let message = part(cause, "message");
    let detail = |name: &str| cause.details.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match (detail("done"), detail("recorded"), detail("of")) {
        (Some(done), ..) => with("common.done_all_the_same", &[("message", &message), ("done", done)]),
        (None, Some(recorded), Some(of)) => {
            with("common.recorded_all_the_same", &[("message", &message), ("recorded", recorded), ("of", of)])
        }
        _ => message,
    }
}

/// What separates the candidates of an ambiguous name in a detail; no name contains it.
pub const BETWEEN_CANDIDATES: char = '\n';
/// Candidates named to people; the rest is only in the JSON.
const CANDIDATES_MAX: usize = 8;

fn candidates(all: &str) -> String {
    let mut named: Vec<&str> = all.split(BETWEEN_CANDIDATES).collect();
    if named.len() > CANDIDATES_MAX {
        named.truncate(CANDIDATES_MAX);
        named.push("…");
    }
    named.join("; ")
}

fn part(cause: &Rejected, part: &str) -> String {
    let code = match cause.details.iter().find(|(key, _)| cause.code == "NEWER" && key == "code") {
        Some((_, newer)) => newer,
        None => &cause.code,
    };
    let plain = format!("error.{code}.{part}");
    let special = cause.details.iter().rev().map(|(key, _)| format!("{plain}_{key}"));
    let found = special.chain([plain.clone()]).find_map(|key| template(language(), &key));
    let details =
        || cause.details.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ");
    let template = found.unwrap_or_else(|| {
        template(language(), &format!("error.other.{part}"))
            .unwrap_or_else(|| "%{code} %{details}".to_owned())
    });
    fill(&template, |name| match name {
        "code" => Some(code.clone()),
        "details" => Some(details()),
        name => cause.details.iter().find(|(key, _)| key == name).map(|(key, value)| detail(key, value)),
    })
}

/// A detail as people read it.
fn detail(key: &str, value: &str) -> String {
    match key {
        "candidates" => candidates(value),
        "derived" if value == "not planned" => term("reason", "TARGET_NOT_PLANNED"),
        "quantity" | "stated" | "holds" | "derived" => indonesian(value),
        "role" | "beside" => value.split(", ").map(|role| term("role", role)).collect::<Vec<_>>().join(", "),
        "state" | "kind" | "level" | "change" | "command" | "wanted_reading" => term(key, value),
        _ => value.to_owned(),
    }
}

/// What a reader noticed in a plan's file, in the chosen language.
pub fn warning(warning: &Warning) -> String {
    let key = format!("warning.{}", warning.code);
    match template(language(), &key) {
        Some(template) => fill(&template, |name| match name {
            "line" => Some(warning.line.to_string()),
            name => warning.details.iter().find(|(key, _)| *key == name).map(|(key, value)| match *key {
                "kind" | "alternatives" => {
                    value.split(',').map(|kind| term("kind", kind)).collect::<Vec<_>>().join(", ")
                }
                _ => value.clone(),
            }),
        }),
        None => warning.message.clone(),
    }
}

fn template(language: Language, key: &str) -> Option<String> {
    crate::_rust_i18n_backend().translate(language.code(), key).map(|text| text.into_owned())
}

/// Puts values where a template says `%{name}`; a value that is not there leaves a dash.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("%{") {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, tail)) => {
                // Values come from other people, through the log.
                out.push_str(&printable(&value(name).unwrap_or_else(|| "–".to_owned())));
                rest = tail;
            }
            None => {
                out.push_str("%{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use renaksi_domain::Code;

    use super::*;

    fn texts(language: Language) -> BTreeMap<String, String> {
        let messages = crate::_rust_i18n_backend().messages_for_locale(language.code()).unwrap_or_default();
        messages.into_iter().map(|(key, text)| (key.into_owned(), text.into_owned())).collect()
    }

    /// Codes of the readers and of numbers, whose values are made elsewhere; the client's own are found in its sources.
    const OTHER_CODES: &[&str] = &[
        "IMPORT_NOT_UNDERSTOOD",
        "IMPORT_REFUSED",
        "ROW_KNOWN",
        "FILE_TOO_LARGE",
        "NOT_PLAIN_TEXT",
        "NOT_UTF8",
        "CONTROL_CHARACTER",
        "NOT_A_PLAN",
        "TABLE_MISSING",
        "UNKNOWN_COLUMNS",
        "HALF_PLAN",
        "ROW_MISALIGNED",
        "ROW_INCOMPLETE",
        "TWO_PLANS",
        "TOO_MANY_ROWS",
        "CELL_TOO_LONG",
        "AMBIGUOUS_NUMBER",
        "NOT_A_NUMBER",
        "NUMBER_OUT_OF_RANGE",
        "FEED_DAMAGED",
        "REPLICA_DAMAGED",
        "INVITE_UNKNOWN",
        "INVITE_EXPIRED",
        "INVITE_USED",
        "ACCESS_DENIED",
        "TOKEN_EXPIRED",
        "DEVICE_KEY_INVALID",
        "INCARNATION_INVALID",
        "PROOF_MISSING",
        "PROOF_INVALID",
        "PROOF_REPLAYED",
        "PUSH_MALFORMED",
        "PUSH_SIGNATURE_INVALID",
        "UNKNOWN_ORIGIN",
        "RECORD_NOT_FOUND",
        "OFFICE_STOPPED",
        "OFFICE_UNAVAILABLE",
        "LOG_DAMAGED",
        "SERVER_FAILED",
        "SERVER_TOO_OLD",
        "SIGNATURE_MISSING",
        "SIGNATURE_INVALID",
        "RECORD_MISPLACED",
        "AUTHOR_WRONG",
        "SEQUENCE_GAP",
        "EPOCH_DIFFERS",
        "TEXTS_DIFFER",
        "ENROLMENT_UNPROVEN",
        "HOST_RECORD_WRONG",
        "OUTCOME_DIFFERS",
        "TIMED_EVENT_MISSING",
        "LOG_NEWER",
        "FILE_NOT_FOUND",
    ];

    const WARNINGS: &[&str] = {
        use renaksi_documents::warning as w;
        &[
            w::SHORT_ROW,
            w::TAB_IN_CELL,
            w::BOOKMARK_IN_CELL,
            w::TEXT_AFTER_BLANK_LINE,
            w::CELL_IGNORED,
            w::TARGET_MISSING,
            w::AMBIGUOUS_NUMBER,
            w::NOT_A_NUMBER,
            w::NUMBER_OUT_OF_RANGE,
            w::TARGET_UNREADABLE,
            w::QUARTER_UNKNOWN,
            w::QUARTER_CONFLICT,
            w::QUARTER_REPEATED,
            w::YEAR_REPEATED,
            w::YEAR_UNREADABLE,
            w::YEAR_TARGET_DIFFERS,
            w::TARGET_WITHOUT_INDICATOR,
            w::UNIT_MISSING,
            w::RESPONSIBLE_MISSING,
            w::NO_RESPONSIBLE,
            w::RESPONSIBLE_SPELLING,
            w::MIXED_DECIMAL_MARKS,
            w::READS_LIKE_OBJECTIVE,
            w::KIND_UNCERTAIN,
            w::NOTHING_BELOW,
        ]
    };

    #[test]
    fn every_code_has_message_and_hint() {
        let known = texts(Language::English);
        let mut codes: BTreeSet<String> =
            Code::all().map(Code::name).chain(OTHER_CODES.iter().copied()).map(str::to_owned).collect();
        for (file, source) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let made = source.split("Rejected::new(").skip(1).filter(|_| !file.ends_with("text.rs"));
            let named = made.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            codes.extend(named.map(str::to_owned));
        }
        let wanted =
            codes.iter().flat_map(|code| ["message", "hint"].map(|part| format!("error.{code}.{part}")));
        let wanted = wanted.chain(WARNINGS.iter().map(|code| format!("warning.{code}")));
        let missing: Vec<String> = wanted.filter(|key| !known.contains_key(key)).collect();
        assert!(missing.is_empty(), "no text for {missing:#?}");
    }

    #[test]
    fn both_languages_have_the_same_keys_and_placeholders() {
        let [english, indonesian] = Language::ALL.map(texts);
        let keys = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
        // English help is the doc comments of the command line.
        let only_one: Vec<_> = keys(&english).symmetric_difference(&keys(&indonesian)).cloned().collect();
        let only_one: Vec<_> = only_one.into_iter().filter(|key| !key.starts_with("help.")).collect();
        assert!(only_one.is_empty(), "in one language only: {only_one:#?}");
        for (key, text) in &english {
            assert_eq!(placeholders(text), placeholders(&indonesian[key]), "{key}");
            assert!(!text.trim().is_empty() && !indonesian[key].trim().is_empty(), "{key} is blank");
        }
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split("%{").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_key_in_the_code_exists() {
        let known = texts(Language::English);
        let mut missing = Vec::new();
        for (file, source) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            if file.ends_with("text.rs") {
                continue;
            }
            for call in ["text::say(", "text::with(", "text::count("] {
                for rest in source.split(call).skip(1) {
                    let Some(key) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'))
                    else {
                        continue;
                    };
                    let forms = match call {
                        "text::count(" => vec![format!("{}.one", key.0), format!("{}.other", key.0)],
                        _ => vec![key.0.to_owned()],
                    };
                    missing.extend(
                        forms.into_iter().filter(|k| !known.contains_key(k)).map(|k| format!("{file}: {k}")),
                    );
                }
            }
        }
        assert!(missing.is_empty(), "no text for {missing:#?}");
    }

    fn sources(folder: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => found.extend(sources(&path)),
                false => found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap())),
            }
        }
        found
    }

    /// Causes stand in the audit log and in lists, where others read them than whom they stopped.
    #[test]
    fn causes_of_the_rules_speak_to_nobody_in_particular() {
        let english = ["you", "your", "yourself"];
        for language in Language::ALL {
            let known = texts(language);
            for code in Code::all().map(Code::name) {
                let own = known.iter().filter(|(key, _)| key.starts_with(&format!("error.{code}.")));
                for (key, text) in own {
                    let mut words = text.split(|c: char| !c.is_alphabetic());
                    assert!(words.all(|word| !english.contains(&word) && word != "Anda"), "{key}: {text}");
                }
            }
        }
    }

    #[test]
    fn what_was_recorded_all_the_same_is_told() {
        let refused = Rejected::new("DEVICE_REVOKED");
        let plain = message(&refused);
        assert!(!plain.contains('('), "{plain}");
        let some = message(&refused.clone().with("recorded", 2).with("of", 3));
        assert!(some.starts_with(&plain) && some.contains('2') && some.contains('3'), "{some}");
        let named = message(&refused.with("done", "device 3 revoked"));
        assert!(named.contains("device 3 revoked"), "{named}");
    }

    #[test]
    fn candidates_are_one_list_for_programs_and_a_short_one_for_people() {
        let all = (1..=12).map(|at| format!("1.{at} UTTP")).collect::<Vec<_>>().join("\n");
        let said =
            message(&Rejected::new("AMBIGUOUS_INDICATOR").with("wanted", "UTTP").with("candidates", all));
        assert!(
            said.contains("1.1 UTTP; 1.2 UTTP") && said.contains('…') && !said.contains("1.12 "),
            "{said}"
        );
    }

    #[test]
    fn a_code_of_a_newer_release_is_named() {
        let (message, hint) = error(&Rejected::new("SOMETHING_LATER").with("indicator", "1.1"));
        assert!(message.contains("SOMETHING_LATER") && message.contains("indicator 1.1"), "{message}");
        assert!(!hint.is_empty());
        let (message, _) = error(&Rejected::new("NEWER").with("code", "LATER_STILL"));
        assert!(message.contains("LATER_STILL"), "{message}");
    }

    #[test]
    fn a_detail_that_is_there_chooses_its_own_text() {
        let plain =
            message(&Rejected::new("BASE_MOVED").with("revision", "P-2").with("indicator", "1.1.2.2"));
        let naming = message(&Rejected::new("BASE_MOVED").with("revision", "P-2").with("other", "P-1"));
        assert!(!plain.contains('–'), "{plain}");
        assert!(naming.contains("P-1"), "{naming}");
    }

    #[test]
    fn numbers_are_shown_with_a_comma() {
        for (plain, shown) in
            [("7.80", "7,80"), ("-1234567.5", "-1.234.567,5"), ("945", "945"), ("WTP", "WTP")]
        {
            assert_eq!(indonesian(plain), shown);
        }
    }

    #[test]
    fn the_option_goes_before_the_environment_and_the_locale() {
        let choose = Language::choose;
        assert_eq!(choose(Some("id"), Some("en"), None), Language::Indonesian);
        assert_eq!(choose(None, Some("en"), Some("id_ID.UTF-8")), Language::English);
        assert_eq!(choose(None, None, Some("id_ID.UTF-8")), Language::Indonesian);
        assert_eq!(choose(None, None, Some("fr-FR")), Language::English);
        assert_eq!(choose(None, Some(""), Some("C")), Language::English);
    }
}

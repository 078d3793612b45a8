//! What an import may say about how an indicator adds up, from its unit and targets alone.
//!
//! The unit cannot tell the kind (28 civil servants paid each quarter are 28 in the year, 28 visitors each quarter are
//! 112), so this only proposes, gives its reason, and says when a person must look.

use crate::quantity::{Quantity, Target};

/// How the entries of an indicator make a quarter's and a year's figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Sum,
    Cumulative,
    Latest,
    Average,
    Ratio,
}

impl Kind {
    /// The stable lower-case name, as JSON and options spell it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sum => "sum",
            Kind::Cumulative => "cumulative",
            Kind::Latest => "latest",
            Kind::Average => "average",
            Kind::Ratio => "ratio",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Kind> {
        let all = [Kind::Sum, Kind::Cumulative, Kind::Latest, Kind::Average, Kind::Ratio];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// A kind to start from until an administrator confirms one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindProposal {
    pub kind: Kind,
    /// One of the `REASON_` codes.
    pub reason: &'static str,
    /// The figures fit another kind as well: warn, naming `alternatives`.
    pub uncertain: bool,
    pub alternatives: &'static [Kind],
}

/// The unit is a percentage.
pub const REASON_PERCENT: &str = "UNIT_IS_PERCENT";
/// The targets are grades, which are read and never added.
pub const REASON_TEXT: &str = "TARGETS_ARE_TEXT";
/// Every step equals the first value: 39, 78, 117, 156.
pub const REASON_EQUAL_STEPS: &str = "STEPS_EQUAL_FIRST_VALUE";
/// The counts grow otherwise: 26, 29, 33, 37.
pub const REASON_GROWING: &str = "COUNTS_GROW";
/// The same number of persons or units each quarter: 28, 28, 28, 28.
pub const REASON_EQUAL_UNITS: &str = "EQUAL_COUNTS_OF_PERSONS_OR_UNITS";
/// Nothing else applies.
pub const REASON_COUNT: &str = "COUNT";

/// Words of a unit that name what stays and can be counted again next quarter: persons, enterprises and their
/// groups, places, objects in use. What is made or happens (laporan, dokumen, surat, paket, kali, kegiatan) is not.
const LASTING: &[&str] = &[
    "anggota",
    "asn",
    "balita",
    "bangunan",
    "desa",
    "guru",
    "ikm",
    "industri",
    "jiwa",
    "kecamatan",
    "kelompok",
    "kelurahan",
    "kendaraan",
    "kk",
    "koperasi",
    "nelayan",
    "opd",
    "orang",
    "pasar",
    "pedagang",
    "pegawai",
    "pelaku",
    "pengelola",
    "perusahaan",
    "peserta",
    "petani",
    "pns",
    "puskesmas",
    "rumah",
    "sekolah",
    "siswa",
    "skpd",
    "tenaga",
    "toko",
    "ukm",
    "umkm",
    "unit",
    "usaha",
    "warga",
    "wirausaha",
    "wub",
];

/// Proposes a kind after the rule of the domain: a percentage is read (latest); growing counts whose every step equals
/// the first value are a running total; other growing counts, and equal counts of persons or units, are taken as a sum
/// with doubt; everything else is a sum.
///
/// Only planned values are looked at, in order. Growing means that none falls and the last exceeds the first; one
/// value alone is no pattern; a single equal step (5, 10) is a running total with doubt.
pub fn propose_kind(unit: Option<&str>, targets: &[Target; 4]) -> KindProposal {
    if unit.is_some_and(is_percent) {
        return KindProposal {
            kind: Kind::Latest,
            reason: REASON_PERCENT,
            uncertain: false,
            alternatives: &[],
        };
    }
    let values: Vec<Quantity> = targets.iter().filter_map(Target::value).collect();
    if values.is_empty() && targets.iter().any(|target| matches!(target, Target::Text(_))) {
        return KindProposal { kind: Kind::Latest, reason: REASON_TEXT, uncertain: false, alternatives: &[] };
    }
    let sum = KindProposal { kind: Kind::Sum, reason: REASON_COUNT, uncertain: false, alternatives: &[] };
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return sum };
    let step_is = |pair: &[Quantity]| pair[1].as_decimal() - pair[0].as_decimal();
    if values.windows(2).all(|pair| pair[0] <= pair[1]) && first < last {
        if values.windows(2).all(|pair| step_is(pair) == first.as_decimal()) {
            let (uncertain, alternatives): (_, &[Kind]) =
                if values.len() > 2 { (false, &[]) } else { (true, &[Kind::Sum, Kind::Latest]) };
            return KindProposal {
                kind: Kind::Cumulative,
                reason: REASON_EQUAL_STEPS,
                uncertain,
                alternatives,
            };
        }
        let alternatives = &[Kind::Cumulative, Kind::Latest];
        return KindProposal { reason: REASON_GROWING, uncertain: true, alternatives, ..sum };
    }
    if values.len() > 1 && values.iter().all(|value| value == first) && unit.is_some_and(counts_what_lasts) {
        let alternatives = &[Kind::Latest, Kind::Cumulative];
        return KindProposal { reason: REASON_EQUAL_UNITS, uncertain: true, alternatives, ..sum };
    }
    sum
}

/// `%`, `persen` and their spellings.
pub fn is_percent(unit: &str) -> bool {
    let unit = unit.trim().to_lowercase();
    matches!(unit.as_str(), "%" | "persen" | "persentase" | "prosen" | "prosentase" | "presentase")
}

fn counts_what_lasts(unit: &str) -> bool {
    let unit = unit.to_lowercase();
    unit.split(|c: char| !c.is_alphanumeric()).any(|word| LASTING.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: &str, cells: [&str; 4], expect: &str) {
        let targets = cells.map(|cell| Target::parse_cell(cell).unwrap());
        let unit = (!unit.is_empty()).then_some(unit);
        let got = propose_kind(unit, &targets);
        let doubt = if got.uncertain { " ?" } else { "" };
        assert_eq!(format!("{} {}{doubt}", got.kind.name(), got.reason), expect, "{unit:?} {cells:?}");
        assert_eq!(got.uncertain, !got.alternatives.is_empty());
        assert!(!got.alternatives.contains(&got.kind));
    }

    #[test]
    fn kinds_of_the_plans() {
        check("%", ["7,8", "7,8", "7,8", "7,8"], "latest UNIT_IS_PERCENT");
        check(" Persen ", ["-", "-", "-", "5"], "latest UNIT_IS_PERCENT");
        check("UTTP", ["70", "585", "120", "170"], "sum COUNT");
        check("koperasi", ["39", "78", "117", "156"], "cumulative STEPS_EQUAL_FIRST_VALUE");
        check("koperasi", ["5", "-", "10", ""], "cumulative STEPS_EQUAL_FIRST_VALUE ?");
        check("orang", ["28", "28", "28", "28"], "sum EQUAL_COUNTS_OF_PERSONS_OR_UNITS ?");
        check("Unit", ["10", "10,0", "-", "-"], "sum EQUAL_COUNTS_OF_PERSONS_OR_UNITS ?");
        check("Pelaku Usaha", ["5", "-", "5", ""], "sum EQUAL_COUNTS_OF_PERSONS_OR_UNITS ?");
        check("laporan", ["3", "3", "3", "3"], "sum COUNT");
        check("WUB", ["26", "29", "33", "37"], "sum COUNTS_GROW ?");
        check("Usaha industri", ["1", "2", "2", "2"], "sum COUNTS_GROW ?");
        check("dokumen", ["", "2", "3", "-"], "sum COUNTS_GROW ?");
        check("UMKM", ["-", "-", "60", "-"], "sum COUNT");
        check("dokumen", ["13", "13", "12", "12"], "sum COUNT");
        check("", ["-", "-", "5", "-"], "sum COUNT");
        check("orang", ["-", "", "-", ""], "sum COUNT");
        check("orang", ["0", "0", "0", "0"], "sum EQUAL_COUNTS_OF_PERSONS_OR_UNITS ?");
        check("opini", ["-", "-", "-", "WTP"], "latest TARGETS_ARE_TEXT");
    }
}

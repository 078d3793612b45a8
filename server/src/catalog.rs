//! The offices of a data folder, and which of them a person means. Nothing here opens one.

use std::fs;

use renaksi_domain::command::Command;
use renaksi_domain::people::{PeopleCommand, folded};
use renaksi_ledger::LogReader;
use renaksi_proto::convert::decode_record;
use uuid::Uuid;

use crate::data::Data;
use crate::error::ServerError;

/// One office of a data folder.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: Uuid,
    /// Empty where its file or its first record cannot be read.
    pub name: String,
    pub rehearsal: bool,
    /// The folder, as this office sees it.
    pub data: Data,
}

impl Listed {
    /// How a person is told of it.
    fn label(&self) -> String {
        format!("\"{}\" ({})", self.name, self.id)
    }
}

/// Every office of the folder: the one that `init` made, then the others by their ids.
///
/// # Errors
/// [`ServerError::NoOffice`] when there is none. What is wrong with one of several is only told: it hides no other.
pub fn offices(data: &Data) -> Result<Vec<Listed>, ServerError> {
    let data = data.first();
    let first = data.server_file()?;
    let name = founded_name(&data, first.office).unwrap_or_default();
    let mut listed = vec![Listed { id: first.office, name, rehearsal: first.rehearsal, data: data.clone() }];
    for id in added(&data)? {
        let data = data.added(id);
        let (name, rehearsal) = match data.office_file() {
            Ok(file) => (file.name, file.rehearsal),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an office cannot be told of");
                Default::default()
            }
        };
        listed.push(Listed { id, name, rehearsal, data });
    }
    Ok(listed)
}

/// The ids of the offices that were added, in their order.
pub fn added(data: &Data) -> Result<Vec<Uuid>, ServerError> {
    let folder = data.offices();
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(ServerError::file("list", &folder))?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(ServerError::file("list", &folder))?.file_name();
        // One that is being made has another name.
        ids.extend(name.to_str().and_then(|name| name.parse::<Uuid>().ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The folder as the office sees it that is meant: the only one, or the one of that id or name.
///
/// A whole name is enough, also where another name holds it; else any part of a name, or the beginning of an id.
///
/// # Errors
/// [`ServerError::UnknownOffice`] and [`ServerError::AmbiguousOffice`], which list the candidates.
pub fn choose(data: &Data, wanted: Option<&str>) -> Result<Data, ServerError> {
    let first = data.first();
    let Some(wanted) = wanted.filter(|wanted| !wanted.trim().is_empty()) else {
        return match added(data)?.is_empty() {
            true => Ok(first),
            false => Err(ServerError::AmbiguousOffice { known: labels(&offices(data)?) }),
        };
    };
    meant(&offices(data)?, wanted).map(|office| office.data)
}

/// The one of some offices that a person names, as [`choose`] understands it.
pub fn meant(all: &[Listed], wanted: &str) -> Result<Listed, ServerError> {
    let text = folded(wanted);
    let whole = matching(all, |name, id| name == text || id == text);
    let found = match whole.is_empty() {
        true => matching(all, |name, id| name.contains(&text) || id.starts_with(&text)),
        false => whole,
    };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(ServerError::UnknownOffice { wanted: wanted.to_owned(), known: labels(all) }),
        several => Err(ServerError::AmbiguousOffice { known: labels(several) }),
    }
}

/// The offices whose folded name and id are so.
fn matching(all: &[Listed], met: impl Fn(&str, &str) -> bool) -> Vec<Listed> {
    all.iter().filter(|office| met(&folded(&office.name), &office.id.to_string())).cloned().collect()
}

fn labels(offices: &[Listed]) -> Vec<String> {
    offices.iter().map(Listed::label).collect()
}

/// The name in an office's first record. None where there is none to read; whoever opens the office is told why.
fn founded_name(data: &Data, office: Uuid) -> Option<String> {
    let reader = LogReader::open_read_only(&data.office("log"), &Data::log_id(office)).ok()?;
    let (record, _) = decode_record(&reader.record(1).ok()??.leaf).ok()?;
    match record.envelope.command {
        Command::People(PeopleCommand::FoundOffice(found)) => Some(found.name.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{OfficeFile, ServerFile};

    fn folder() -> (tempfile::TempDir, Data) {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::new(dir.path());
        let file =
            ServerFile { office: Uuid::from_u128(1), rehearsal: false, address: "h:1".into(), founded: true };
        data.write_server_file(&file).unwrap();
        (dir, data)
    }

    fn add(data: &Data, id: u128, name: &str) {
        let id = Uuid::from_u128(id);
        let file = OfficeFile { office: id, name: name.to_owned(), rehearsal: false };
        data.added(id).write_office_file(&file).unwrap();
    }

    #[test]
    fn one_office_is_meant_by_nothing_and_several_by_id_or_name() {
        let (_dir, data) = folder();
        assert_eq!(choose(&data, None).unwrap().server_file().unwrap().office, Uuid::from_u128(1));
        add(&data, 0xA0 << 120, "Dinas Perdagangan");
        add(&data, 0xB0 << 120, "Dinas Perdagangan Kota");
        let meant = |wanted: &str| choose(&data, Some(wanted)).unwrap().server_file().unwrap().office;
        assert_eq!(meant("dinas  perdagangan"), Uuid::from_u128(0xA0 << 120));
        assert_eq!(meant("kota"), Uuid::from_u128(0xB0 << 120));
        assert_eq!(meant("b0"), Uuid::from_u128(0xB0 << 120));
        assert_eq!(meant(&Uuid::from_u128(1).to_string()), Uuid::from_u128(1));
        for (wanted, code, told) in [
            (None, "AMBIGUOUS_OFFICE", 3),
            (Some("perdagang"), "AMBIGUOUS_OFFICE", 2),
            (Some("metrologi"), "UNKNOWN_OFFICE", 3),
            (Some(" "), "AMBIGUOUS_OFFICE", 3),
        ] {
            let error = choose(&data, wanted).unwrap_err();
            assert_eq!((error.code().as_str(), error.exit_code()), (code, 2));
            assert_eq!(error.details()[0].1.split(", ").count(), told, "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_no_other_office() {
        let (_dir, data) = folder();
        add(&data, 2, "Dinas A");
        add(&data, 3, "Dinas B");
        std::fs::write(data.added(Uuid::from_u128(2)).office("office.json"), "{half").unwrap();
        std::fs::create_dir_all(data.making(Uuid::from_u128(4)).office("")).unwrap();
        let names: Vec<String> = offices(&data).unwrap().into_iter().map(|office| office.name).collect();
        assert_eq!(names, ["", "", "Dinas B"]);
        assert_eq!(choose(&data, Some("dinas b")).unwrap().office("").file_name().unwrap().len(), 36);
    }
}

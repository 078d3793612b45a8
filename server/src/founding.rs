//! An office begins: its first record, and the first invite. `init` makes the first of a folder, `office add` the others.

use std::fs::{self, File};

use renaksi_domain::people::{FoundOffice, PeopleCommand, folded};
use renaksi_domain::time::Zone;
use renaksi_domain::{RULES_VERSION, State};
use renaksi_proto::clock::Clock;
use uuid::Uuid;

use crate::catalog;
use crate::data::{Data, OfficeFile};
use crate::error::ServerError;
use crate::office::Office;
use crate::people::{self, Invited};

/// What an office is founded with, understood before anything is made.
#[derive(Clone, Debug)]
pub struct Founding {
    pub name: String,
    pub zone: Zone,
    /// The first operator.
    pub operator: String,
    pub rehearsal: bool,
}

impl Founding {
    /// Understands the words of a command.
    pub fn read(name: &str, zone: &str, operator: &str, rehearsal: bool) -> Result<Founding, ServerError> {
        let zone = Zone::from_name(zone).ok_or_else(|| {
            let names = Zone::ALL.map(Zone::name).join(", ");
            ServerError::Usage(format!(
                "unknown time zone `{zone}`; an Indonesian office is in one of {names}"
            ))
        })?;
        let name = name.trim().to_owned();
        if name.is_empty() {
            return Err(ServerError::Usage("--office needs the office's name".into()));
        }
        let operator = people::user_name(operator)?.to_owned();
        Ok(Founding { name, zone, operator, rehearsal })
    }

    /// Founds the office in an empty log, and invites its operator.
    pub async fn found(&self, office: &Office, id: Uuid) -> Result<Invited, ServerError> {
        let found = FoundOffice {
            office: id,
            name: self.name.as_str().into(),
            zone: self.zone,
            rehearsal: self.rehearsal,
            rules: RULES_VERSION,
        };
        let act = Box::new(move |_: &State| vec![PeopleCommand::FoundOffice(found)]);
        office.host(act).await.map_err(people::host_error)?;
        people::invite(office, &self.operator, "operator", None).await
    }
}

/// A fresh id.
pub fn new_id() -> Result<Uuid, ServerError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(ServerError::Random)?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid())
}

/// Adds an office to a folder that has one; answers its id and the first invite. `address` is what invites name.
///
/// It is made in a folder of another name, closed, and renamed. If we crash before the rename there is no such office:
/// what was made of it lies in `offices/ID.new` and is nobody's.
///
/// # Errors
/// [`ServerError::NameTaken`]; whatever keeps an office from being made, and then nothing of it is left.
pub async fn add(
    data: &Data,
    founding: &Founding,
    clock: Clock,
    address: &str,
) -> Result<(Uuid, Invited), ServerError> {
    let name = folded(&founding.name);
    if catalog::offices(data)?.iter().any(|known| folded(&known.name) == name) {
        return Err(ServerError::NameTaken(founding.name.clone()));
    }
    let id = new_id()?;
    let making = data.making(id);
    let made = make(&making, id, founding, clock, address).await.and_then(|invited| {
        let (from, to, all) = (making.office(""), data.added(id).office(""), data.offices());
        fs::rename(&from, &to).map_err(ServerError::file("rename", &from))?;
        File::open(&all).and_then(|all| all.sync_all()).map_err(ServerError::file("sync", &all))?;
        Ok((id, invited))
    });
    if made.is_err()
        && let Err(error) = fs::remove_dir_all(making.office(""))
    {
        tracing::warn!(%error, "{} could not be cleared", making.office("").display());
    }
    made
}

async fn make(
    making: &Data,
    id: Uuid,
    founding: &Founding,
    clock: Clock,
    address: &str,
) -> Result<Invited, ServerError> {
    let file = OfficeFile { office: id, name: founding.name.clone(), rehearsal: founding.rehearsal };
    making.write_office_file(&file)?;
    let mut office = Office::create(making, clock)?;
    office.file.address = address.to_owned();
    let invited = founding.found(&office, id).await;
    tokio::task::block_in_place(|| office.close());
    invited
}

//! sled writes its files by itself, and syncs none of them. So after a power cut the index is whatever it may be: not there,
//! from an earlier moment, from one that the log has not reached, of another history, in part, or put together of several.
//! Whichever it is, everybody is answered as if it were whole.

use std::fs;
use std::path::{Path, PathBuf};

use renaksi_domain::people::{AddUnit, PeopleCommand};
use renaksi_proto::clock::Clock;
use renaksi_proto::wire;
use renaksi_server::data::Data;
use renaksi_server::office::Office;

use super::power::{clear, scratch};
use super::stage::{NOW, Stage, leaf, positions, request};

/// Commands that the log holds at each moment, before it the three records of the stage.
const MOMENTS: [usize; 3] = [10, 66, 70];
/// Where the log lies in the data folder, and where the index does.
const INDEX: &str = "office/index";

/// What became of the index.
#[derive(Debug)]
enum Left {
    Nothing,
    /// As it was at a moment.
    Of(usize),
    /// So, with one file cut to a part of its length.
    Cut(usize, PathBuf, u64),
    /// So, without one file.
    Without(usize, PathBuf),
    /// So, with one file of another moment.
    Mixed(usize, PathBuf, usize),
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { fs::copy(&path, &to).map(drop).unwrap() }
    }
}

/// The files below a folder, by their paths from it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = dirs.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => found.push(path.strip_prefix(dir).unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

impl Left {
    /// Everything that may be left, given copies of the index at each moment.
    fn all(moments: &[PathBuf]) -> Vec<Left> {
        let mut all = vec![Left::Nothing];
        for (moment, folder) in moments.iter().enumerate() {
            all.push(Left::Of(moment));
            for file in files(folder) {
                let bytes = fs::metadata(folder.join(&file)).unwrap().len();
                all.extend([0, bytes / 3, bytes - bytes / 4].map(|cut| Left::Cut(moment, file.clone(), cut)));
                all.push(Left::Without(moment, file.clone()));
                let others = (0..moments.len()).filter(|other| *other != moment);
                let others = others.filter(|other| moments[*other].join(&file).exists());
                all.extend(others.map(|other| Left::Mixed(moment, file.clone(), other)));
            }
        }
        all
    }

    fn put(&self, moments: &[PathBuf], to: &Path) {
        let (Left::Of(moment) | Left::Cut(moment, ..) | Left::Without(moment, _) | Left::Mixed(moment, ..)) =
            self
        else {
            return;
        };
        copy(&moments[*moment], to);
        match self {
            Left::Nothing | Left::Of(_) => {}
            Left::Cut(_, file, bytes) => {
                fs::File::options().write(true).open(to.join(file)).unwrap().set_len(*bytes).unwrap();
            }
            Left::Without(_, file) => fs::remove_file(to.join(file)).unwrap(),
            Left::Mixed(_, file, other) => drop(fs::copy(moments[*other].join(file), to.join(file)).unwrap()),
        }
    }
}

/// Records the commands behind the known ones. Each comes alone and is followed by an act of the server, so that each is a
/// run of its own and a row is full before the second moment. One comes once more, so that the index is asked.
async fn record(stage: &Stage, feed: &[wire::Stored], known: usize) {
    for end in known + 1..=feed.len() {
        stage.push(request(&feed[..end], u32::try_from(end).unwrap())).await.unwrap();
        add_unit(stage, format!("Bidang {end}")).await;
    }
    stage.push(request(feed, u32::try_from(feed.len()).unwrap())).await.unwrap();
}

async fn add_unit(stage: &Stage, name: String) {
    let unit = AddUnit { name: name.as_str().into() };
    stage.office().host(Box::new(move |_| vec![PeopleCommand::AddUnit(unit)])).await.unwrap();
}

async fn close(stage: &mut Stage) {
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
}

/// The device sends all that it ever made: what the log has is answered with its first receipt, what it has not is new.
async fn answers_as_ever(
    stage: &mut Stage,
    data: &Path,
    feed: &[wire::Stored],
    held: usize,
    duplicates: usize,
    context: &str,
) {
    stage.data = Data::new(data);
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
    let answer = stage.push(request(feed, 1)).await;
    let answer = answer.unwrap_or_else(|fault| panic!("{context}: {}", fault.code()));
    // What is new comes at once, behind the last act of the server.
    let position = |command: usize| 4 + (command + command.min(held)) as u64;
    assert_eq!(positions(&answer), (0..feed.len()).map(position).collect::<Vec<_>>(), "{context}");
    let known = answer.receipts.iter().take_while(|receipt| receipt.duplicate).count();
    assert_eq!(known, duplicates, "{context}");
    close(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_whatever_a_power_cut_leaves_of_the_index_everybody_is_answered_the_same() {
    let (kept, after) = (scratch(), scratch());
    let mut stage = Stage::new().await;
    let feed: Vec<_> = (0..*MOMENTS.last().unwrap()).map(|number| leaf(&number.to_string())).collect();
    let home = stage.data.dir().to_owned();
    for (moment, commands) in MOMENTS.into_iter().enumerate() {
        if stage.office.is_none() {
            stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
        }
        let known = moment.checked_sub(1).map_or(0, |before| MOMENTS[before]);
        record(&stage, &feed[..commands], known).await;
        close(&mut stage).await;
        copy(&home, &kept.path().join(moment.to_string()));
    }
    let data = |moment: usize| kept.path().join(moment.to_string());
    let mut moments: Vec<PathBuf> = (0..MOMENTS.len()).map(|moment| data(moment).join(INDEX)).collect();
    // The same office in another history: every command is one position later.
    let mut other = Stage::new().await;
    add_unit(&other, "Bidang Lain".to_owned()).await;
    record(&other, &feed, 0).await;
    close(&mut other).await;
    moments.push(other.data.office("index"));
    let mut opened = 0;
    for (moment, held) in MOMENTS.into_iter().enumerate() {
        for left in Left::all(&moments) {
            let context = format!("{held} commands in the log, of the index {left:?}");
            copy(&data(moment), after.path());
            fs::remove_dir_all(after.path().join(INDEX)).unwrap();
            left.put(&moments, &after.path().join(INDEX));
            answers_as_ever(&mut stage, after.path(), &feed, held, held, &context).await;
            // And what was made of it is good.
            answers_as_ever(&mut stage, after.path(), &feed, held, feed.len(), &context).await;
            clear(after.path());
            opened += 1;
        }
    }
    println!("{opened} states of the index opened");
    assert!(opened > 100, "only {opened} states");
}

//! Small plans of our own making, in the text form of a Word table.

use std::fmt::Write;

/// The unit that answers for every row of [`small`].
pub const UNIT: &str = "Kepala Bidang Uji";

/// A plan of one objective, one strategic indicator and one program whose rows have these units and targets.
/// Row `n` has the code `1.1.1.n`.
#[must_use]
pub fn small(rows: &[(&str, [&str; 4])]) -> Vec<u8> {
    let mut text = String::from(HEADER);
    for (number, (unit, targets)) in (1..).zip(rows) {
        let strategic = (number == 1).then_some(["Sasaran uji", "Persentase sasaran uji", "%"]);
        let program = (number == 1).then_some(["Program uji", "Persentase program uji", "%"]);
        for quarter in 1..=4 {
            let first = quarter == 1;
            let group = |named: Option<[&str; 3]>| match named {
                Some(named) if first => [
                    named[0].to_owned(),
                    named[1].to_owned(),
                    named[2].to_owned(),
                    format!("TW {quarter} = 100"),
                ],
                Some(_) => [String::new(), String::new(), String::new(), format!("TW {quarter} = 100")],
                None => Default::default(),
            };
            let own = match first {
                true => {
                    [format!("Kegiatan {number}"), format!("Jumlah hasil uji {number}"), (*unit).to_owned()]
                }
                false => Default::default(),
            };
            let target = format!("TW {quarter} = {}", targets[quarter - 1]);
            let responsible = if first { UNIT } else { "" };
            let cells = group(strategic)
                .into_iter()
                .chain(group(program))
                .chain(own)
                .chain([target, responsible.to_owned()]);
            for cell in cells {
                let _ = writeln!(text, "\t{cell}");
            }
            text.push('\n');
        }
    }
    text.into_bytes()
}

const HEADER: &str = "RENCANA AKSI\nDINAS UJI\nTAHUN 2024\n\n\t\n\tSASARAN STRATEGIS\n\tPROGRAM\n\tKEGIATAN/SUB.KEGIATAN\n\tPENANGGUNG\nJAWAB\n\n\tURAIAN\n\tINDIKATOR KINERJA\n\tSatuan\n\tTARGET\n\tURAIAN\n\tINDIKATOR KINERJA\n\tSATUAN\n\tTARGET\n\tURAIAN\n\tINDIKATOR KINERJA\n\tSATUAN\n\tTARGET\n\t\n\n\t1\n\t2\n\t\n\t3\n\t4\n\t5\n\t6\n\t7\n\t8\n\t9\n\t10\n\t11\n\t12\n\n";

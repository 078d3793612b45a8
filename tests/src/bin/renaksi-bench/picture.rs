//! The cost curve as a picture: what each figure is at each size of the log, both axes in powers of ten.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Figure;

/// What is drawn: a heading with its unit, and the cases of `curve` in it.
const PANELS: [(&str, &[&str]); 4] = [
    ("Appending, entries a second", &["append"]),
    ("Milliseconds", &["append p99", "as-of, p99", "plan show --as-of, median"]),
    ("Opening, milliseconds", &["start to first answer", "a device opens", "first pull of a device"]),
    ("Resident memory, MB", &["resident", "the state itself", "beyond the state"]),
];
const COLOURS: [RGBColor; 3] = [RGBColor(0, 90, 156), RGBColor(200, 90, 0), RGBColor(0, 128, 80)];

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Draws the figures of `curve` into an SVG file.
pub fn draw(figures: &[Figure], file: &Path) -> Outcome {
    let root = SVGBackend::new(file, (1_000, 760)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, (heading, cases)) in root.split_evenly((2, 2)).iter().zip(PANELS) {
        panel(area, heading, cases, figures)?;
    }
    root.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    heading: &str,
    cases: &[&str],
    figures: &[Figure],
) -> Outcome {
    let lines: Vec<Vec<(f64, f64)>> = cases.iter().map(|case| points(figures, case)).collect();
    let all = || lines.iter().flatten();
    let sizes = all()
        .map(|point| point.0)
        .fold((f64::MAX, 0.0_f64), |(least, most), size| (least.min(size), most.max(size)));
    let most = all().map(|point| point.1).fold(1.0, f64::max);
    let least = all().map(|point| point.1).fold(most, f64::min).max(0.1);
    let power = |value: f64, up: bool| {
        let power = value.log10();
        10_f64.powf(if up { power.ceil() } else { power.floor() })
    };
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .caption(heading, ("sans-serif", 17))
        .x_label_area_size(34)
        .y_label_area_size(62)
        .build_cartesian_2d(
            (sizes.0..sizes.1.max(sizes.0 * 10.0)).log_scale(),
            (power(least, false)..power(most * 1.01, true)).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("records")
        .x_label_formatter(&|size| count(*size))
        .y_label_formatter(&|value| count(*value))
        .light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(220, 220, 220))
        .draw()?;
    for ((line, case), colour) in lines.into_iter().zip(cases).zip(COLOURS) {
        chart.draw_series(line.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(*case)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(220, 220, 220))
        .draw()?;
    Ok(())
}

/// (records, value) of a case, which is named `N records, CASE`.
fn points(figures: &[Figure], case: &str) -> Vec<(f64, f64)> {
    let of = |figure: &Figure| {
        let (records, named) = figure.case.split_once(" records, ")?;
        (named == case).then_some((records.parse().ok()?, figure.value))
    };
    figures.iter().filter_map(of).collect()
}

fn count(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => format!("{value}"),
    }
}

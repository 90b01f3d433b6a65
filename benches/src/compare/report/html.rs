//! The report as one page: no script, nothing that has to be fetched.

use std::fmt::Write as _;

use super::losses::{self, UNKNOWN};
use super::verdicts::{self, Verdict};
use super::{charts, method, rows};
use crate::compare::contests::Contest;
use crate::compare::results::Results;
use crate::measure::Result;
use crate::report::rounded;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#22262b;--paper:#fff;--line:#d5d9de;--faint:#6b727b;\
--good:#1a7f4b;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#16181b;--line:#3a3f45;\
--faint:#9aa1a9;--good:#5cc98d;--bad:#ff8a80}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);\
max-width:60rem;margin:0 auto;padding:1rem}\
h2{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.875rem}\
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right}\
th:first-child,td:first-child{text-align:left}\
pre{overflow-x:auto;border:1px solid var(--line);padding:.6rem}\
figure{margin:1rem 0;background:#fff;border-radius:.4rem;overflow-x:auto}\
figcaption{color:#6b727b;padding:.4rem .6rem 0;font-size:.875rem}\
.met{color:var(--good);font-weight:600}.missed{color:var(--bad);font-weight:600}\
.note{color:var(--faint)}tr.ours td{font-weight:600}";

pub(super) fn render(results: &Results, date: &str) -> Result<String> {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>gopark beside its peers</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>gopark beside its peers</h1>\n<p class=\"note\">{}</p>\n<pre>{}</pre>\n",
        escaped(date),
        escaped(&results.machine),
    );
    let versions = results.versions.iter();
    table(
        &mut out,
        &["".into(), "version".into()],
        versions.map(|(peer, version)| (false, vec![peer.to_string(), version.clone()])),
    )?;
    writeln!(out, "<p>{}</p>", escaped(&method(results)))?;
    budgets(&mut out, results)?;
    lost(&mut out, results)?;
    if results
        .entries
        .iter()
        .any(|entry| entry.contest.workload == "parked")
    {
        writeln!(out, "<h2>Memory of a task that waits</h2>")?;
        figure(
            &mut out,
            "bytes, RSS and page tables; logarithmic",
            &charts::memory(results)?,
        )?;
    }
    for contest in rows::contests(results) {
        section(&mut out, results, contest)?;
    }
    out.push_str("</body>\n</html>\n");
    Ok(out)
}

fn section(out: &mut String, results: &Results, contest: &Contest) -> Result<()> {
    writeln!(out, "<h2>{}</h2>", escaped(contest.name))?;
    writeln!(out, "<p class=\"note\">{}</p>", escaped(contest.note))?;
    let metric = &contest.metrics[0];
    let caption = format!(
        "{} in {}, logarithmic; the thin line spans all samples",
        metric.key, metric.unit
    );
    figure(out, &caption, &charts::contest(results, contest)?)?;
    let mut procs: Vec<usize> = rows::entries(results, contest)
        .iter()
        .map(|entry| entry.procs)
        .collect();
    procs.dedup();
    for procs in procs {
        if let Some(chart) = charts::latencies(results, contest, procs)? {
            let caption = format!("latencies, {}, logarithmic", rows::cores(procs));
            figure(out, &caption, &chart)?;
        }
    }
    let entries = rows::entries(results, contest).into_iter();
    table(
        out,
        &rows::header(contest),
        entries.map(|entry| {
            (
                entry.peer.starts_with("gopark"),
                rows::cells(results, entry),
            )
        }),
    )
}

fn budgets(out: &mut String, results: &Results) -> Result<()> {
    writeln!(out, "<h2>Budgets</h2>\n<div class=\"wide\"><table>")?;
    writeln!(
        out,
        "<tr><th></th><th>value</th><th>must reach</th><th>aim</th><th></th></tr>"
    )?;
    for row in verdicts::all(results) {
        let class = match row.verdict {
            Verdict::Missed => "missed",
            Verdict::Met | Verdict::MetAim => "met",
            Verdict::NotMeasured => "note",
        };
        let aim = row.aim.map_or_else(String::new, |aim| aim.text());
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{}</td></tr>",
            escaped(row.name),
            escaped(&row.value()),
            escaped(&row.must.text()),
            escaped(&aim),
            row.verdict.text(),
        )?;
    }
    Ok(writeln!(out, "</table></div>")?)
}

fn lost(out: &mut String, results: &Results) -> Result<()> {
    writeln!(
        out,
        "<h2>Where gopark needs more than 1.1 times as much</h2>"
    )?;
    let losses = losses::all(results);
    if losses.is_empty() {
        writeln!(out, "<p>Nowhere, beside Go, tokio and may.</p>")?;
    }
    for loss in losses {
        writeln!(
            out,
            "<p><b>{}, {}, {}: {} times {}.</b> {}</p>",
            escaped(loss.ours.contest.name),
            rows::cores(loss.ours.procs),
            escaped(loss.metric.key),
            rounded(loss.ratio.median),
            escaped(loss.rival),
            escaped(loss.why.unwrap_or(UNKNOWN)),
        )?;
    }
    Ok(())
}

fn figure(out: &mut String, caption: &str, svg: &str) -> Result<()> {
    let caption = escaped(caption);
    Ok(writeln!(
        out,
        "<figure><figcaption>{caption}</figcaption>{svg}</figure>"
    )?)
}

fn table(
    out: &mut String,
    header: &[String],
    rows: impl Iterator<Item = (bool, Vec<String>)>,
) -> Result<()> {
    writeln!(out, "<div class=\"wide\"><table>\n<tr>")?;
    for cell in header {
        write!(out, "<th>{}</th>", escaped(cell))?;
    }
    writeln!(out, "</tr>")?;
    for (is_ours, cells) in rows {
        write!(out, "<tr{}>", if is_ours { " class=\"ours\"" } else { "" })?;
        for cell in cells {
            write!(out, "<td>{}</td>", escaped(&cell))?;
        }
        writeln!(out, "</tr>")?;
    }
    Ok(writeln!(out, "</table></div>")?)
}

/// For text and for attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_a_page_is_escaped() {
        assert_eq!(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}

//! The list of a project's files, as JSON (PEP 691) or HTML (PEP 503).

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;

/// A file that an index offers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) url: Url,
    pub(super) file_name: String,
    /// What the index says the sha256 is; it is not believed, but may tell that the file is another one.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct Project {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
}

/// The files that a page lists. `base` is the address it came from.
///
/// # Errors
/// JSON that is none, in one line.
pub(super) fn links(media: &str, page: &[u8], base: &Url) -> Result<Vec<Link>, String> {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media.ends_with("json") {
        let project: Project = serde_json::from_slice(page)
            .map_err(|e| format!("the page of the package is no JSON of files: {e}"))?;
        let link = |f: File| {
            let url = base.join(&f.url).ok()?;
            Some(Link { url, file_name: f.filename, sha256: f.hashes.get("sha256").cloned() })
        };
        return Ok(project.files.into_iter().filter_map(link).collect());
    }
    Ok(html(&String::from_utf8_lossy(page), base))
}

/// The anchors of a page. Only what PEP 503 needs is understood: `href` of `a`, and of `base`. Each byte is looked at a
/// fixed number of times.
fn html(page: &str, base: &Url) -> Vec<Link> {
    let (mut out, mut base) = (Vec::new(), base.clone());
    for tag in page.split('<').skip(1) {
        let name = tag.split(|c: char| c.is_ascii_whitespace() || c == '>').next();
        let is = |wanted: &str| name.is_some_and(|n| n.eq_ignore_ascii_case(wanted));
        if !is("a") && !is("base") {
            continue;
        }
        let Some(href) = href(tag) else { continue };
        let Ok(mut url) = base.join(&unescape(&href)) else { continue };
        if is("base") {
            base = url;
            continue;
        }
        let sha256 = url.fragment().and_then(|f| f.strip_prefix("sha256=")).map(str::to_owned);
        url.set_fragment(None);
        let last = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
        let file_name = percent_decode_str(last).decode_utf8_lossy().into_owned();
        out.push(Link { url, file_name, sha256 });
    }
    out
}

/// The value of the attribute `href`, quoted or not, of a tag without its `<`.
fn href(tag: &str) -> Option<String> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(|c: char| c.is_ascii_whitespace()).find(|n| !n.is_empty())?;
        let after = after.trim_start();
        let (value, left) = match after.chars().next()? {
            quote @ ('"' | '\'') => after[1..].split_once(quote)?,
            _ => {
                let end = after.find(|c: char| c.is_ascii_whitespace() || c == '>');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        if name.eq_ignore_ascii_case("href") {
            return Some(value.to_owned());
        }
        rest = left;
    }
    None
}

/// The characters that addresses in HTML are written with.
fn unescape(text: &str) -> String {
    [
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://index.example/simple/pack/").unwrap()
    }

    #[test]
    fn json_gives_names_addresses_and_digests() {
        let page = br#"{"meta":{"api-version":"1.1"},"name":"pack","files":[
            {"filename":"pack-1.0.tar.gz","url":"../../files/pack-1.0.tar.gz","hashes":{"sha256":"ab"},"yanked":false},
            {"filename":"pack-1.0-py3-none-any.whl","url":"https://other.example/p.whl","hashes":{}}]}"#;
        let links = links("application/vnd.pypi.simple.v1+json", page, &base()).unwrap();
        assert_eq!(links[0].url.as_str(), "https://index.example/files/pack-1.0.tar.gz");
        assert_eq!(
            (links[0].file_name.as_str(), links[0].sha256.as_deref()),
            ("pack-1.0.tar.gz", Some("ab"))
        );
        assert_eq!(
            (links[1].url.as_str(), links[1].sha256.as_deref()),
            ("https://other.example/p.whl", None)
        );
        let error = super::links("application/json", b"<html>", &base()).unwrap_err();
        assert!(error.contains("no JSON"), "{error}");
    }

    #[test]
    fn html_gives_the_same() {
        let page = br#"<!DOCTYPE html><html><body><h1>Links</h1>
            <a data-requires-python="&gt;=3.7" href="../../files/a%2Bb/pack-1.0.tar.gz?a=1&amp;b=2#sha256=ab">pack</a><br/>
            <A HREF='https://other.example/p-1.whl' rel=x>p</A> <a name=x>no</a> <abbr href=no>
            <a href=plain.zip>plain</a><a href="unfinished"#;
        let links = links("text/html; charset=utf-8", page, &base()).unwrap();
        let found: Vec<(&str, &str, Option<&str>)> = links
            .iter()
            .map(|l| (l.url.as_str(), l.file_name.as_str(), l.sha256.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "https://index.example/files/a%2Bb/pack-1.0.tar.gz?a=1&b=2",
                    "pack-1.0.tar.gz",
                    Some("ab")
                ),
                ("https://other.example/p-1.whl", "p-1.whl", None),
                ("https://index.example/simple/pack/plain.zip", "plain.zip", None),
            ]
        );
        let moved = b"<base href='https://cdn.example/d/'><a href='x.tar.gz'>x</a>";
        assert_eq!(
            super::links("", moved, &base()).unwrap()[0].url.as_str(),
            "https://cdn.example/d/x.tar.gz"
        );
    }
}

//! A real browser, driven as a person would: by what can be read on the page.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use fantoccini::{Client, ClientBuilder, Locator, error::CmdError, wd::WebDriverCompatibleCommand};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::world::{command, lab_tool};

/// A page has come, or something is wrong.
const SOON: Duration = Duration::from_mins(1);
/// Looks for barriers; see the folder's README.
const AXE: &str = include_str!("../../fixtures/axe/axe.min.js");
const WIDE: (u32, u32) = (1200, 800);
const NARROW: (u32, u32) = (360, 740);

/// A window of Chromium.
pub(super) struct Browser {
    client: Client,
    driver: Child,
    /// Kept open: it would end when it can't say something.
    _said: BufReader<ChildStdout>,
    site: String,
    seen: Vec<String>,
    barriers: Vec<String>,
}

/// What only Chromium understands.
#[derive(Debug)]
struct DevTools {
    method: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"cmd": self.method, "params": self.params}).to_string()))
    }
}

impl Browser {
    /// Opens a window on this site; `None` (and a line that says why) where there is no browser.
    pub(super) async fn open(site: &str) -> Option<Self> {
        let (chromium, chromedriver) = (lab_tool("chromium")?, lab_tool("chromedriver")?);
        let mut driver = command(chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut said = BufReader::new(driver.stdout.take().expect("stdout is piped"));
        let port = port(&mut said);
        // No sandbox: root can't have one, and only our own pages are opened.
        let options = json!({
            "binary": chromium,
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"],
        });
        let capabilities = json!({"goog:chromeOptions": options, "pageLoadStrategy": "normal"});
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().expect("an object").clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a window");
        let browser = Self {
            client,
            driver,
            _said: said,
            site: site.to_owned(),
            seen: Vec::new(),
            barriers: Vec::new(),
        };
        browser.size(WIDE).await;
        Some(browser)
    }

    /// Goes to a path or an address.
    pub(super) async fn go(&self, to: &str) {
        let address =
            if to.starts_with('/') { format!("{}{to}", self.site) } else { to.to_owned() };
        self.client.goto(&address).await.expect("a page");
    }

    /// The path of the page that is shown.
    pub(super) async fn path(&self) -> String {
        self.client.current_url().await.expect("an address").path().to_owned()
    }

    /// Waits until this can be read on the page.
    pub(super) async fn see(&self, text: &str) {
        self.see_within(text, SOON).await;
    }

    /// The same for what takes its time.
    pub(super) async fn see_within(&self, text: &str, within: Duration) {
        let place = format!("//main//*[contains(normalize-space(.), {})]", literal(text));
        let found = self.client.wait().at_most(within).for_element(Locator::XPath(&place)).await;
        if let Err(error) = found {
            panic!(
                "{text:?} does not appear on {}: {error}\n{}",
                self.path().await,
                self.text().await
            );
        }
    }

    /// All that can be read on the page.
    pub(super) async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await.expect("a page");
        body.text().await.expect("its text")
    }

    /// Clicks the link or button with this text.
    pub(super) async fn click(&self, text: &str) {
        let text = literal(text);
        let place = format!(
            "//*[(self::a or self::button or self::summary) and normalize-space(.)={text}]"
        );
        let found = self.client.wait().at_most(SOON).for_element(Locator::XPath(&place)).await;
        let Ok(found) = found else {
            panic!("nothing to click says {text} on {}:\n{}", self.path().await, self.text().await)
        };
        found.click().await.expect("clicked");
    }

    /// Types into the field with this label, over what is there.
    pub(super) async fn fill(&self, label: &str, text: &str) {
        let field = self.field(label).await;
        field.clear().await.expect("cleared");
        field.send_keys(text).await.expect("typed");
    }

    /// Chooses the radio button or box with this label.
    pub(super) async fn tick(&self, label: &str) {
        self.field(label).await.click().await.expect("ticked");
    }

    /// Chooses from the list with this label.
    pub(super) async fn choose(&self, label: &str, option: &str) {
        self.field(label).await.select_by_label(option).await.expect("chosen");
    }

    /// What stands in the field with this label.
    pub(super) async fn value(&self, label: &str) -> String {
        self.field(label).await.prop("value").await.expect("a field").expect("a value")
    }

    /// The text of something, also if it is folded away.
    pub(super) async fn content(&self, css: &str) -> String {
        let found = self.client.find(Locator::Css(css)).await.expect(css);
        found.prop("textContent").await.expect("a text").expect("a text")
    }

    async fn field(&self, label: &str) -> fantoccini::elements::Element {
        let place =
            format!("//*[@id=//label[starts-with(normalize-space(.), {})]/@for]", literal(label));
        let found = self.client.wait().at_most(SOON).for_element(Locator::XPath(&place)).await;
        match found {
            Ok(found) => found,
            Err(error) => panic!(
                "no field {label:?} on {}: {error}\n{}",
                self.path().await,
                self.text().await
            ),
        }
    }

    /// Runs a script in the page.
    pub(super) async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("a script that runs")
    }

    /// Looks at the page as it is, in the light and in the dark, wide and narrow: for barriers, and if somebody wants to see
    /// them (`KUBESMITH_SCREENSHOTS` names a folder), as pictures.
    pub(super) async fn look(&mut self, name: &str) {
        self.seen.push(name.to_owned());
        for scheme in ["light", "dark"] {
            self.scheme(scheme).await;
            self.size(WIDE).await;
            self.photograph(&format!("{name}-{scheme}")).await;
            self.axe(&format!("{name}, {scheme}")).await;
        }
        self.scheme("light").await;
        self.size(NARROW).await;
        self.photograph(&format!("{name}-narrow")).await;
        self.axe(&format!("{name}, narrow")).await;
        let sideways =
            self.script("return document.documentElement.scrollWidth > innerWidth").await;
        if sideways == true {
            self.barriers.push(format!("{name}: 360 pixels are too narrow for it"));
        }
        self.size(WIDE).await;
    }

    /// Closes the window.
    pub(super) async fn close(&self) {
        self.client.clone().close().await.expect("closed");
    }

    /// Nothing stood in anybody's way on any page that was looked at.
    pub(super) fn assert_no_barriers(&self) {
        assert!(!self.seen.is_empty(), "no page was looked at");
        assert!(self.barriers.is_empty(), "{}", self.barriers.join("\n"));
    }

    async fn axe(&mut self, place: &str) {
        let run = format!(
            "{AXE};\nconst done = arguments[arguments.length - 1];\n\
             axe.run(document, {{resultTypes: ['violations']}}).then(found => done(found.violations), error => done(String(error)));"
        );
        let found = self.client.execute_async(&run, Vec::new()).await.expect("axe runs");
        let found = found.as_array().unwrap_or_else(|| panic!("{place}: axe failed: {found}"));
        for rule in found {
            let nodes: Vec<_> = rule["nodes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|node| node["html"].to_string())
                .collect();
            self.barriers.push(format!("{place}: {}: {}", rule["help"], nodes.join(" ")));
        }
    }

    async fn photograph(&self, name: &str) {
        let Some(folder) = std::env::var_os("KUBESMITH_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        let taken =
            self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        let bytes =
            BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
        fs::write(folder.join(format!("{name}.png")), bytes).expect("written");
    }

    async fn scheme(&self, scheme: &str) {
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            // A picture in the middle of a fade shows colours that nobody chose.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    async fn size(&self, (width, height): (u32, u32)) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    async fn devtools(&self, method: &'static str, params: Value) -> Value {
        let sent: Result<Value, CmdError> =
            self.client.issue_cmd(DevTools { method, params }).await;
        sent.expect("Chromium answers")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes its windows with it.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.driver),
            rustix::process::Signal::TERM,
        );
        let _ = self.driver.wait();
    }
}

/// `ChromeDriver was started successfully on port 34567.`
fn port(said: &mut impl BufRead) -> u16 {
    let found = said.lines().map_while(Result::ok).find_map(|line| {
        line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
    });
    found.expect("chromedriver says its port")
}

/// A text in `XPath`, which has no escapes.
fn literal(text: &str) -> String {
    assert!(!text.contains('"'), "{text}");
    format!("\"{text}\"")
}

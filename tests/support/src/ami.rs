//! Asterisk's manager interface, as a dialer uses it: log in, send actions, read events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::lab::Lab;
use crate::wait;

/// `manager.conf` for [`Manager::log_in`] at `address`.
pub fn configuration(address: &str) -> String {
    format!(
        "[general]\nenabled = yes\nbindaddr = {address}\nport = {PORT}\n\n\
         [cron]\nsecret = {SECRET}\nread = system,call,log,command,agent,user,originate,reporting\n\
         write = system,call,log,command,agent,user,originate,reporting\n\n\
         [{WITHOUT_REPORTING}]\nsecret = {SECRET}\nread = call\nwrite = call,originate\n\n\
         [{WITHOUT_SYSTEM}]\nsecret = {SECRET}\nread = system,call,command,reporting,security\nwrite = call,command,reporting,originate\n"
    )
}

/// A user who may send commands, and has not the privilege `system`.
pub const WITHOUT_SYSTEM: &str = "clerk";

/// A user who may neither have reports nor the privilege `system`.
pub const WITHOUT_REPORTING: &str = "dialer";

const PORT: u16 = 5038;
const SECRET: &str = "1234";

/// A session.
#[derive(Debug)]
pub struct Manager {
    stream: BufReader<TcpStream>,
    actions: u32,
}

/// A response or an event: its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet(Vec<(String, String)>);

impl Packet {
    /// The values of `key`, which may come several times.
    pub fn all(&self, key: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

impl Manager {
    /// Connects to the Asterisk at `address` and logs in, with every privilege.
    pub fn log_in(lab: &Lab, address: &str) -> Self {
        Self::log_in_as(lab, address, "cron")
    }

    /// The same as a user of [`configuration`].
    pub fn log_in_as(lab: &Lab, address: &str, user: &str) -> Self {
        let stream = wait::until(
            &format!("the manager interface of {address}"),
            wait::SOON,
            || lab.tcp(&format!("{address}:{PORT}")).ok(),
            String::new,
        );
        // Only a hang takes longer.
        stream
            .set_read_timeout(Some(Duration::from_secs(180)))
            .expect("a socket");
        let mut manager = Self {
            stream: BufReader::new(stream),
            actions: 0,
        };
        let greeting = manager.line();
        assert!(
            greeting.starts_with("Asterisk Call Manager"),
            "{greeting:?}"
        );
        let answer = manager.ask("Login", &[("Username", user), ("Secret", SECRET)]);
        assert_eq!(answer.get("Response"), Some("Success"), "{answer:?}");
        manager
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let count = self
            .stream
            .read_line(&mut line)
            .expect("the manager interface answers");
        assert_ne!(count, 0, "the manager interface closed the connection");
        line.trim_end().to_owned()
    }

    /// The next response or event.
    pub fn receive(&mut self) -> Packet {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some((name, value)) => lines.push((name.to_owned(), value.to_owned())),
                None if line.is_empty() && !lines.is_empty() => return Packet(lines),
                // A header without a value.
                None => {}
            }
        }
    }

    /// Sends an action; its `ActionID`.
    pub fn send(&mut self, action: &str, headers: &[(&str, &str)]) -> String {
        self.actions += 1;
        let id = format!("test-{}", self.actions);
        let mut text = format!("Action: {action}\r\nActionID: {id}\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        self.stream
            .get_mut()
            .write_all(text.as_bytes())
            .expect("the manager interface reads");
        id
    }

    /// Sends an action that answers with a list, and waits for its end: the response, the list's events, and the one at its end.
    /// Other events meanwhile are dropped.
    pub fn list(
        &mut self,
        action: &str,
        headers: &[(&str, &str)],
    ) -> (Packet, Vec<Packet>, Packet) {
        let response = self.ask(action, headers);
        let id = response.get("ActionID").map(str::to_owned);
        let mut items = Vec::new();
        if response.get("EventList") != Some("start") {
            return (response.clone(), items, response);
        }
        loop {
            let packet = self.receive();
            if packet.get("ActionID") != id.as_deref() {
                continue;
            }
            if packet.get("EventList") == Some("Complete") {
                return (response, items, packet);
            }
            items.push(packet);
        }
    }

    /// The next event of this name. Others before it are dropped.
    pub fn event(&mut self, name: &str) -> Packet {
        loop {
            let packet = self.receive();
            if packet.get("Event") == Some(name) {
                return packet;
            }
        }
    }

    /// Sends an action and waits for its response. Events before it are dropped.
    pub fn ask(&mut self, action: &str, headers: &[(&str, &str)]) -> Packet {
        let id = self.send(action, headers);
        loop {
            let packet = self.receive();
            if packet.get("Response").is_some() && packet.get("ActionID") == Some(&id) {
                return packet;
            }
        }
    }
}

//! The files: a capture of IP packets, and recordings. They are in clear: the folder is new and its maker's alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etherparse::PacketBuilder;

use crate::Error;
use crate::capture::Datagram;
use crate::g711;
use crate::streams::{Opened, Stream};

/// pcap's magic number for timestamps with nanoseconds (draft-ietf-opsawg-pcap section 4).
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: packets begin with IP's header.
const RAW: u32 = 101;
/// Hops that a packet has left; nobody forwards these.
const HOPS: u8 = 64;

/// Makes the folder and all files of it.
pub fn all(opened: &Opened<'_>, out: &Path) -> Result<Vec<PathBuf>, Error> {
    let unwritten = |path: &Path, error| Error::Unwritten(path.to_owned(), error);
    DirBuilder::new()
        .mode(0o700)
        .create(out)
        .map_err(|error| unwritten(out, error))?;
    let mut files = Vec::new();
    let mut make = |name: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        let path = out.join(name);
        let made = new(&path).and_then(|file| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.flush()
        });
        made.map_err(|error| unwritten(&path, error))?;
        files.push(path);
        Ok(())
    };
    make("rtp.pcap", &|file| capture(file, &opened.clear))?;
    let heard = opened.streams().filter(|stream| !stream.samples.is_empty());
    for (number, stream) in (1..).zip(heard) {
        let name = format!(
            "{number}-{}-{:08x}.wav",
            stream.source.to_string().replace([':', '[', ']', '%'], "_"),
            stream.ssrc
        );
        make(&name, &|file| recording(file, stream))?;
    }
    Ok(files)
}

fn new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// A capture of IP packets.
fn capture(file: &mut dyn Write, datagrams: &[Datagram]) -> io::Result<()> {
    let mut header = Vec::new();
    header.extend(NANOSECONDS.to_le_bytes());
    header.extend([2, 0, 4, 0]);
    header.extend([0; 8]);
    header.extend(u32::from(u16::MAX).to_le_bytes());
    header.extend(RAW.to_le_bytes());
    file.write_all(&header)?;
    for datagram in datagrams {
        let packet = packet(datagram)?;
        let length = u32::try_from(packet.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes();
        // The format has 32 bits for seconds.
        let seconds = u32::try_from(datagram.time.as_secs()).unwrap_or(0);
        file.write_all(&seconds.to_le_bytes())?;
        file.write_all(&datagram.time.subsec_nanos().to_le_bytes())?;
        file.write_all(&length)?;
        file.write_all(&length)?;
        file.write_all(&packet)?;
    }
    Ok(())
}

fn packet(datagram: &Datagram) -> io::Result<Vec<u8>> {
    let builder = match (datagram.source, datagram.destination) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), HOPS)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), HOPS)
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let udp = builder.udp(datagram.source.port(), datagram.destination.port());
    let mut packet = Vec::with_capacity(udp.size(datagram.payload.len()));
    udp.write(&mut packet, &datagram.payload)
        .map_err(io::Error::other)?;
    Ok(packet)
}

/// A WAV file: RIFF, 16 bits, one channel.
fn recording(file: &mut dyn Write, stream: &Stream) -> io::Result<()> {
    // At most four hours: it fits.
    let octets = u32::try_from(stream.samples.len() * 2).unwrap_or(u32::MAX);
    let mut header = Vec::new();
    header.extend(b"RIFF");
    header.extend((octets + 36).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend([1, 0, 1, 0]);
    header.extend(g711::RATE.to_le_bytes());
    header.extend((2 * g711::RATE).to_le_bytes());
    header.extend([2, 0, 16, 0]);
    header.extend(b"data");
    header.extend(octets.to_le_bytes());
    file.write_all(&header)?;
    for sample in &stream.samples {
        file.write_all(&sample.to_le_bytes())?;
    }
    Ok(())
}

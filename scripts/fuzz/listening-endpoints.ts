/** Finds the ZeroMQ endpoints of a process in Linux's /proc. */

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

const tcpListen = '0A';
/** The flags of a Unix socket that accepts connections. */
const unixListen = '00010000';

/** Returns the endpoints at which a process listens: TCP on loopback, and ipc. */
export function listeningEndpoints(pid: number): string[] {
  const inodes = socketInodes(pid);
  const tcp = rows(pid, 'tcp').flatMap(([, local = '', , state, , , , , , inode = '']) =>
    state === tcpListen && inodes.has(inode)
      ? `tcp://127.0.0.1:${Number.parseInt(local.split(':')[1] ?? '', 16)}`
      : [],
  );
  const ipc = rows(pid, 'unix').flatMap(([, , , flags, , , inode = '', path]) =>
    flags === unixListen && path !== undefined && inodes.has(inode) ? `ipc://${path}` : [],
  );
  return [...tcp, ...ipc];
}

function socketInodes(pid: number): Set<string> {
  return new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // The descriptor was closed after the folder was read.
        return [];
      }
    }),
  );
}

/** Returns the fields of a table in /proc/PID/net, without its heading. */
function rows(pid: number, table: string): string[][] {
  return readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
}

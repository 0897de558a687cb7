/**
 * The process that holds the lease of a run's folder. A PID identifies a process only in its PID namespace and only while it lives: a
 * restarted container gives the same PID to another process, and two containers with one host name have processes with equal PIDs.
 */

import { readFileSync, readlinkSync } from 'node:fs';
import { z } from 'zod';
import { systemCode } from '../shared/errors.js';

const text = z.string().max(256).default('');

export const holderSchema = z.object({
  pid: z.int(),
  host: z.string(),
  since: z.number(),
  /** Id of the machine's last start; empty where the system has none. */
  boot: text,
  pidNamespace: text,
  /** Start of the process, in clock ticks since the machine's start. */
  startTime: text,
});
export type Holder = Readonly<z.infer<typeof holderSchema>>;

export function describeOwnProcess(host: string): Holder {
  return {
    pid: process.pid,
    host,
    since: Date.now(),
    boot: orEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: orEmpty(() => readlinkSync('/proc/self/ns/pid')),
    startTime: orEmpty(() => startTimeIn('/proc/self/stat')),
  };
}

/** `unknown`: this process cannot see the holder, which is on another host or in another PID namespace. */
export function lifeOf(holder: Holder, own: Holder): 'alive' | 'dead' | 'unknown' {
  const isVisible =
    holder.host === own.host && holder.boot === own.boot && holder.pidNamespace === own.pidNamespace;
  if (!isVisible) return 'unknown';
  if (!isAlive(holder.pid)) return 'dead';
  // The files of /proc can be those of another namespace.
  const hasOwnProc = orEmpty(() => readlinkSync('/proc/self')) === String(own.pid);
  const startTime = hasOwnProc ? orEmpty(() => startTimeIn(`/proc/${holder.pid}/stat`)) : '';
  const isAnother = startTime !== '' && holder.startTime !== '' && startTime !== holder.startTime;
  return isAnother ? 'dead' : 'alive';
}

/** A process that has ended and that its parent has not waited for counts as dead. Such a process keeps its PID. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
  return orEmpty(() => fieldsOf(`/proc/${pid}/stat`)[0] ?? '') !== 'Z';
}

/** The 22nd field. */
function startTimeIn(file: string): string {
  return fieldsOf(file)[19] ?? '';
}

/** The fields from the third one on, the state of the process. The second one, the command in parentheses, may contain spaces. */
function fieldsOf(file: string): string[] {
  const stat = readFileSync(file, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function orEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

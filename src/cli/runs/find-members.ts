/**
 * Decides how a coordinator continues an unfinished run: if a worker that trains the run answers at the run's address, the coordinator
 * takes the run over; otherwise the run is resumed. No supervisor is asked, so the decision is the same under any of them and by hand.
 */

import { MemberSearch } from '../../coordinator/member-search.js';
import type { InheritedState } from '../../coordinator/types.js';
import {
  hasLivingWorkers,
  inheritedDirectory,
  readLeadership,
  type Leadership,
} from '../../launcher/leadership.js';
import { addressIn } from '../../launcher/socket-directory.js';
import { ConfigError } from '../../shared/errors.js';
import { controlMessageBytes } from '../../shared/protocol/codec.js';
import type { ServerKeys } from '../../shared/security/curve-key.js';
import { openControlServer } from '../../shared/transport/zmq/control-server.js';
import type { ControlServer } from '../../shared/transport/transport.js';
import { coordinatorEndpoint } from '../environment/environment.js';
import type { SecurityFlags } from '../options/security-options.js';
import { readServerKeys } from '../security/key-files.js';
import { coordinatorKeys, warnOfOpenAddress } from '../security/security.js';
import { readRunConfig } from './saved-run.js';

/** A run whose log has no end. */
export interface PastRun {
  readonly out: string;
  readonly state: InheritedState;
}

export interface Answer {
  /** True if a worker that trains the run has answered. */
  readonly isAlive: boolean;
  /** A clause for the log, without a full stop. */
  readonly reason: string;
}

/** Looks for workers that train the run. */
export type FindMembers = (run: PastRun) => Promise<Answer>;

/** A living member reconnects within a tenth of a second and sends a heartbeat. */
const usualHeartbeats = 20;
const shortestMs = 2_000;

/** The address of a coordinator, at which it may have searched for members before its run was opened. */
export class CoordinatorAddress {
  readonly listen: string;
  readonly keys: ServerKeys | null;
  #server: ControlServer | undefined;

  /** Prints a warning if every user of this machine can reach the address. @throws ConfigError if it requires keys and there are none */
  constructor(flags: SecurityFlags & { readonly listen?: string }) {
    this.listen = coordinatorEndpoint(flags.listen);
    this.keys = coordinatorKeys(this.listen, flags);
    warnOfOpenAddress(this.listen, this.keys);
  }

  /** The server that has been opened for a search; undefined without one. The coordinator takes it over. */
  takeServer(): ControlServer | undefined {
    const server = this.#server;
    this.#server = undefined;
    return server;
  }

  /** Closes the server if no coordinator has taken it over. */
  async close(): Promise<void> {
    await this.takeServer()?.close();
  }

  /** @throws ConfigError if the address can't be bound */
  async find({ out, state }: PastRun): Promise<Answer> {
    const record = recordOf(out, state);
    if (record === null) return none(noRecord);
    const { keys } = this;
    if ((record.keys !== null) !== (keys !== null))
      return none(
        `it was coordinated ${keys === null ? 'with keys, and now without' : 'without keys, and now with keys'}`,
      );
    const server = await this.#open(record);
    const search = new MemberSearch(server);
    this.#server = search;
    const { endpoint } = server;
    if (sameAddress(this.listen, record) !== undefined && record.endpoint !== endpoint)
      return none(`another process uses its port, ${record.endpoint}, at which its workers expect it`);
    return searchAt(search, out, state, record);
  }

  /** A port that the system chose is requested again, since the workers reconnect to it. Another process may use it now. */
  async #open(record: Leadership): Promise<ControlServer> {
    const { listen, keys } = this;
    const open = (endpoint: string): Promise<ControlServer> =>
      openControlServer(endpoint, controlMessageBytes, keys);
    const same = sameAddress(listen, record);
    if (same === undefined) return open(listen);
    return open(same).catch((error: unknown) => {
      if (!(error instanceof ConfigError)) throw error;
      return open(listen);
    });
  }
}

/** Returns the record of the coordinator that led this run last; null if the run was trained in one process. */
function recordOf(out: string, { runId }: InheritedState): Leadership | null {
  const record = readLeadership(out);
  return record?.runId === runId ? record : null;
}

async function searchAt(
  search: MemberSearch,
  out: string,
  { runId }: InheritedState,
  { socketDirectory }: Leadership,
): Promise<Answer> {
  const { endpoint } = search;
  const { workers, heartbeatMs, coordinatorTimeoutMs: mostMs } = await readRunConfig(out);
  const usualMs = Math.min(mostMs, Math.max(shortestMs, usualHeartbeats * heartbeatMs));
  const print = (line: string): void => void process.stderr.write(`${line}\n`);
  const isHopeless = (): boolean => socketDirectory !== null && !hasLivingWorkers(socketDirectory);
  if (!isHopeless())
    print(`Looking for workers of run ${runId} at ${endpoint}, for at most ${mostMs / 1000} s.`);
  const startMs = performance.now();
  const warn = (message: string): void => print(`Warning: ${message}`);
  const isAlive = await search.search({ runId, usualMs, mostMs, workers, isHopeless, warn });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (isAlive) return { isAlive, reason: `a worker that trains it answered at ${endpoint} after ${seconds} s` };
  return none(isHopeless() ? workersEnded : `none of its workers answered at ${endpoint} within ${seconds} s`);
}

/**
 * Looks for workers that were started by hand and have joined a run of `lockstep train`. The workers that `train` has started end with it.
 * @param keys folder of the keys; null without encryption
 */
export async function findMembersOfTrain({ out, state }: PastRun, keys: string | null): Promise<Answer> {
  const record = recordOf(out, state);
  if (record === null) return none(noRecord);
  const { endpoint, socketDirectory } = record;
  if (socketDirectory === null || endpoint !== addressIn(socketDirectory))
    return none(`only lockstep coordinator can take it over, at ${endpoint}`);
  if (record.keys !== keys) return none('it was trained with other keys');
  if (inheritedDirectory(record) === null || !hasLivingWorkers(socketDirectory))
    return none(workersEnded);
  const server = await openControlServer(
    endpoint,
    controlMessageBytes,
    keys === null ? null : readServerKeys(keys),
  );
  try {
    return await searchAt(new MemberSearch(server), out, state, record);
  } finally {
    await server.close();
  }
}

const workersEnded = 'its workers have ended';
const noRecord = 'its folder has no record of the address of its coordinator';

const none = (reason: string): Answer => ({ isAlive: false, reason });

/**
 * Returns the address with the port that the system has chosen for the predecessor; undefined if the system did not choose it, or if the
 * predecessor was given another address.
 */
export function sameAddress(
  listen: string,
  record: Pick<Leadership, 'listen' | 'endpoint'>,
): string | undefined {
  const [, address] = /^(tcp:\/\/.+):(?:\*|0)$/.exec(listen) ?? [];
  const [, port] = /^tcp:\/\/.+:(\d+)$/.exec(record.endpoint) ?? [];
  return address !== undefined && port !== undefined && record.listen === listen
    ? `${address}:${port}`
    : undefined;
}

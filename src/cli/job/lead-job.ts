/** Task 0 of a job: makes the keys, chooses the address of the coordinator, and publishes both to the other tasks. */

import { freeJobPort } from '../../launcher/job/free-job-port.js';
import { JobRecord } from '../../launcher/job/job-record.js';
import { ownAddress } from '../../launcher/job/own-address.js';
import { portOf } from '../../launcher/platforms/job-port.js';
import type { Placement } from '../../launcher/platforms/platform.js';
import type { SupervisedTask } from '../../launcher/run-supervisor.js';
import { addressIn, makeSocketDirectory } from '../../launcher/socket-directory.js';
import { exitStatus } from '../../shared/exit-status.js';
import { formatTcp } from '../../shared/network/address.js';
import { host } from '../environment/environment.js';
import { describeError, statusOf } from '../exit.js';
import type { SecurityFlags } from '../options/security-options.js';
import { withKeys } from '../security/security.js';
import { givenEndpoint } from './given-endpoint.js';
import { makeJobKeys } from './job-keys.js';

/** The way on which the workers of a run reach its coordinator. */
export interface JobAddress {
  /** Undefined if this process starts all workers. */
  readonly task: SupervisedTask | undefined;
  /** Folder of keys; null without encryption. */
  readonly keys: string | null;
  /** Opens the folder of sockets, which the supervisor removes; null if the workers are on several nodes. */
  socketDirectory(): string | null;
}

/** Calls `run`, and reports its end to the other tasks. */
export async function withJobLead(
  placement: Placement,
  flags: SecurityFlags & { readonly out?: string },
  run: (lead: JobLead) => Promise<number>,
): Promise<number> {
  const lead = new JobLead(placement, flags, flags.out ?? '');
  try {
    const status = await run(lead);
    if (status === exitStatus.done) await lead.close();
    else await lead.end(status, 'The run has ended.');
    return status;
  } catch (error) {
    await lead.end(statusOf(error), describeError(error));
    throw error;
  }
}

export class JobLead {
  readonly #placement: Placement;
  readonly #flags: SecurityFlags;
  readonly #out: string;
  readonly #record: JobRecord;

  constructor(placement: Placement, flags: SecurityFlags, out: string) {
    this.#placement = placement;
    this.#flags = flags;
    this.#out = out;
    this.#record = new JobRecord(out, placement.start);
  }

  /**
   * Calls `run` with the address of the coordinator. The caller holds the lease of the run's folder.
   * @throws ConfigError if there is no port, or if other users could replace the keys
   */
  async withAddress<T>(run: (address: JobAddress) => Promise<T>): Promise<T> {
    if (this.#flags.keys !== undefined) return withKeys(this.#flags, (keys) => this.#atGiven(keys, run));
    this.#record.create(this.#out);
    const { localSize, size } = this.#placement;
    if (localSize === size && this.#flags.security !== 'curve') return this.#atSocket(run);
    return this.#atPort(run);
  }

  /** Tells the other tasks why there is no run, or that it has ended. */
  async end(status: number, reason: string): Promise<void> {
    await this.#record.end(status, reason);
  }

  /** Removes the keys that were made for the job. */
  async close(): Promise<void> {
    await this.#record.remove();
  }

  /** With keys that every task has, the tasks need no common folder: each computes the address. */
  async #atGiven<T>(keys: string | null, run: (address: JobAddress) => Promise<T>): Promise<T> {
    const { endpoint, port } = givenEndpoint(this.#placement);
    const listen = formatTcp({ host: '*', port: await freeJobPort(port, 1) });
    return run({
      task: { listen, endpoint, host, onListening: () => undefined },
      keys,
      socketDirectory: () => null,
    });
  }

  async #atSocket<T>(run: (address: JobAddress) => Promise<T>): Promise<T> {
    const socketDirectory = makeSocketDirectory();
    if (socketDirectory === null) return this.#atPort(run);
    const endpoint = addressIn(socketDirectory);
    const task = this.#task(endpoint, endpoint, false);
    return run({ task, keys: null, socketDirectory: () => socketDirectory });
  }

  async #atPort<T>(run: (address: JobAddress) => Promise<T>): Promise<T> {
    const { coordinatorHost, hostIsGiven, coordinatorPort, job } = this.#placement;
    const keys = makeJobKeys(this.#record.folder);
    const port = await freeJobPort(coordinatorPort ?? portOf(`${job} ${this.#out}`));
    const ownHost =
      hostIsGiven && coordinatorHost !== null ? coordinatorHost : await ownAddress([coordinatorHost]);
    const task = this.#task(formatTcp({ host: '*', port }), formatTcp({ host: ownHost, port }), true);
    return run({ task, keys, socketDirectory: () => null });
  }

  #task(listen: string, endpoint: string, encrypted: boolean): SupervisedTask {
    return {
      listen,
      endpoint,
      host,
      onListening: () => {
        this.#record.publish({ state: 'open', endpoint, encrypted }).catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          process.stderr.write(
            `Warning: the other tasks can't learn the address of the coordinator: ${reason}\n`,
          );
        });
      },
    };
  }
}

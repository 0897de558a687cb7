/**
 * The artefacts that workers send to the run's folder and fetch from it, because they do not share it. Performs the transfers that
 * decide.ts admits; its state is no part of the coordinator's state, and a new coordinator continues a transfer from what is on the disk.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  contentOf,
  manifestName,
  mostBytes,
  stateName,
  totalBytes,
  type Artefact,
} from '../../shared/artefacts/artefact.js';
import {
  removeFolderProof,
  writeFolderProof,
  type FolderProof,
} from '../../shared/artefacts/folder-proof.js';
import { ArtefactHolder } from '../../shared/artefacts/holder.js';
import { readManifest } from '../../shared/checkpoint/manifest.js';
import { CheckpointError, OperationalError, toWireError } from '../../shared/errors.js';
import type { CoordinatorMessage, MessageOf, WorkerMessage } from '../../shared/protocol/messages.js';
import type { ConnectionId } from '../../shared/transport/transport.js';
import type { TransferMessage } from './transfer-action.js';
import { IncomingArtefact, removeUnfinished, type Destination } from './incoming-artefact.js';

export interface StoreOptions {
  readonly runId: string;
  /** The run's folder, made by the caller; null: nothing is stored. */
  readonly out: string | null;
  /** Number of checkpoints to keep. */
  readonly keep: number;
  /** True if the run was led by another coordinator before. What workers have sent to it is continued. */
  readonly isSuccessor: boolean;
  readonly send: (to: ConnectionId, message: CoordinatorMessage) => void;
}

/** Number of artefacts that are received at once: usually one. After a change of the generation, an earlier member may still send one. */
const mostIncoming = 8;
/** Number of connections whose last `fetch` is answered. */
const mostServed = 256;

export class ArtefactStore {
  /** Null if the run has no folder. */
  readonly proof: FolderProof | null;
  readonly #options: StoreOptions;
  /** By content. */
  readonly #incoming = new Map<string, IncomingArtefact>();
  readonly #served = new Map<ConnectionId, { readonly transfer: string; readonly holder: ArtefactHolder }>();
  /** The removal of what an earlier run left. */
  readonly #cleared: Promise<void>;

  constructor(options: StoreOptions) {
    this.#options = options;
    const { out, isSuccessor } = options;
    this.proof = out === null ? null : writeFolderProof(out);
    this.#cleared = out === null || isSuccessor ? Promise.resolve() : removeUnfinished(out, () => false);
  }

  /** @param parameterCount number of the model's weights, which bounds the size */
  receive(from: ConnectionId, message: TransferMessage, parameterCount: number): void {
    const { transfer } = message;
    if (message.type === 'offer') this.#onOffer(from, message, parameterCount);
    else if (message.type === 'want') {
      const served = this.#served.get(from);
      if (served?.transfer === transfer) served.holder.answer(message);
    } else {
      const incoming = [...this.#incoming.values()].find((each) => each.isFrom(from, transfer));
      if (message.type === 'piece') incoming?.take(message);
      else incoming?.withdraw(from);
    }
  }

  /** Answers `fetch` with the files of a checkpoint. @param path null if the coordinator has no such checkpoint */
  serve(to: ConnectionId, transfer: string, path: string | null): void {
    void this.#serve(to, transfer, path).catch((error: unknown) => this.#refuse(to, transfer, error));
  }

  /** Gives up what is being received, and removes it and the proof. */
  async close(): Promise<void> {
    const { out } = this.#options;
    const closing = new CheckpointError('The run is over.');
    await Promise.all([...this.#incoming.values()].map((each) => each.close(closing)));
    await this.#cleared;
    if (out === null) return;
    await removeUnfinished(out, () => false);
    removeFolderProof(out);
  }

  #onOffer(
    from: ConnectionId,
    { transfer, artefact }: MessageOf<WorkerMessage, 'offer'>,
    parameterCount: number,
  ): void {
    const content = contentOf(artefact);
    const known = this.#incoming.get(content);
    if (known) {
      known.addSender(from, transfer);
      return;
    }
    const { out } = this.#options;
    const refusal =
      out === null ? 'the run has no folder' : this.#refusalOf(artefact, mostBytes(parameterCount));
    if (out === null || refusal !== undefined) {
      this.#refuse(from, transfer, new CheckpointError(`The ${artefact.kind} was not stored: ${refusal}.`));
      return;
    }
    // A worker that offers another artefact of this kind has given the one before up.
    for (const each of this.#incoming.values()) if (each.artefact.kind === artefact.kind) each.withdraw(from);
    const destination: Destination = { ...this.#options, out };
    const incoming = new IncomingArtefact(artefact, destination, this.#options.send, this.#cleared);
    incoming.addSender(from, transfer);
    this.#incoming.set(content, incoming);
    void incoming.stored.then(
      async (path) => {
        this.#incoming.delete(content);
        for (const to of incoming.senders)
          this.#options.send(to.connection, { type: 'stored', transfer: to.transfer, path });
        await removeUnfinished(out, (folder) => this.#isInUse(folder));
      },
      (error: unknown) => {
        this.#incoming.delete(content);
        for (const to of incoming.senders) this.#refuse(to.connection, to.transfer, error);
      },
    );
  }

  #refusalOf(artefact: Artefact, limit: number): string | undefined {
    const bytes = totalBytes(artefact);
    if (bytes > limit) return `expected at most ${limit} bytes for this model, got ${bytes}`;
    if (this.#incoming.size < mostIncoming) return undefined;
    return `expected at most ${mostIncoming} at once`;
  }

  #isInUse(folder: string): boolean {
    return [...this.#incoming.values()].some(({ draft }) => draft === folder);
  }

  async #serve(to: ConnectionId, transfer: string, path: string | null): Promise<void> {
    if (path === null) throw new CheckpointError('The coordinator has no checkpoint of this step.');
    const artefact = await describeCheckpoint(path);
    const holder = new ArtefactHolder(path, artefact, {
      piece: (piece) => this.#options.send(to, { type: 'piece', transfer, ...piece }),
      failed: (error) => this.#refuse(to, transfer, error),
    });
    this.#served.delete(to);
    const [oldest] = this.#served.keys();
    if (this.#served.size >= mostServed && oldest !== undefined) this.#served.delete(oldest);
    this.#served.set(to, { transfer, holder });
    this.#options.send(to, { type: 'offer', transfer, artefact });
  }

  #refuse(to: ConnectionId, transfer: string, error: unknown): void {
    if (!(error instanceof OperationalError)) throw error;
    this.#options.send(to, { type: 'withdraw', transfer, error: toWireError(error) });
  }
}

/** @param path the checkpoint's folder @throws CheckpointError if it has no valid manifest */
async function describeCheckpoint(path: string): Promise<Artefact> {
  const { step, file } = await readManifest(path);
  const manifest = await readFile(join(path, manifestName));
  const sha256 = createHash('sha256').update(manifest).digest('hex');
  return {
    kind: 'checkpoint',
    step,
    files: [
      { name: manifestName, bytes: manifest.length, sha256 },
      { name: stateName, bytes: file.bytes, sha256: file.sha256 },
    ],
  };
}

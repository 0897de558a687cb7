/** One artefact on its way into the run's folder: received into a folder of its own, verified, renamed, and pruned. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  contentOf,
  manifestName,
  modelFolder,
  type Artefact,
  type Piece,
} from '../../shared/artefacts/artefact.js';
import { ArtefactReceiver } from '../../shared/artefacts/receiver.js';
import { checkpointName, checkpointsFolder, readManifest } from '../../shared/checkpoint/manifest.js';
import { cannotWrite, removeOld } from '../../shared/checkpoint/write-checkpoint.js';
import { CheckpointError, DeadlineError, OperationalError, systemCode } from '../../shared/errors.js';
import { publishFolder } from '../../shared/files/publish-folder.js';
import type { CoordinatorMessage } from '../../shared/protocol/messages.js';
import type { ConnectionId } from '../../shared/transport/transport.js';

export interface Destination {
  readonly runId: string;
  /** The run's folder. */
  readonly out: string;
  readonly keep: number;
}

interface Sender {
  readonly connection: ConnectionId;
  readonly transfer: string;
}

/** Names of the folders of artefacts that are being received. `chooseResume` ignores names with `.partial-`. */
const unfinishedName = (name: string, content: string): string => `${name}.incoming.partial-${content}`;
const unfinishedPattern = /^(model|step-\d{9,10})\.incoming\.partial-[0-9a-f]{16}$/;

export class IncomingArtefact {
  readonly artefact: Artefact;
  /** The folder in which it is received. Its name contains the content, so that a later sender of the same artefact continues it. */
  readonly draft: string;
  /**
   * Resolves with the path in the run's folder.
   * @throws CheckpointError, DeadlineError; what was received remains only if the senders fell silent
   */
  readonly stored: Promise<string>;
  readonly #destination: Destination;
  readonly #send: (to: ConnectionId, message: CoordinatorMessage) => void;
  /** The last one is asked for pieces. */
  #senders: Sender[] = [];
  #receiver: ArtefactReceiver | undefined;
  #closed: Error | undefined;

  /** @param ready the folder can be written to */
  constructor(
    artefact: Artefact,
    destination: Destination,
    send: (to: ConnectionId, message: CoordinatorMessage) => void,
    ready: Promise<void>,
  ) {
    const { kind, step } = artefact;
    const { out } = destination;
    const name = kind === 'model' ? modelFolder : checkpointName(step);
    const folder = kind === 'model' ? out : join(out, checkpointsFolder);
    this.artefact = artefact;
    this.draft = join(folder, unfinishedName(name, contentOf(artefact)));
    this.#destination = destination;
    this.#send = send;
    this.stored = ready.then(() => this.#store(join(folder, name)));
  }

  /** The connections that have offered it. */
  get senders(): readonly Sender[] {
    return this.#senders;
  }

  /** Asks this sender for the pieces from now on. A repeated offer changes nothing. */
  addSender(connection: ConnectionId, transfer: string): void {
    if (this.isFrom(connection, transfer)) return;
    this.#senders = [
      ...this.#senders.filter((sender) => sender.connection !== connection),
      { connection, transfer },
    ];
    this.#receiver?.askAgain();
  }

  /** Returns true if this sender is asked for pieces. */
  isFrom(connection: ConnectionId, transfer: string): boolean {
    const asked = this.#senders.at(-1);
    return asked?.connection === connection && asked.transfer === transfer;
  }

  /** Also accepts a piece that an earlier sender was asked for: the contents are verified. */
  take(piece: Piece): void {
    this.#receiver?.take(piece);
  }

  /** Asks the sender before this one, if there is one. */
  withdraw(connection: ConnectionId): void {
    const others = this.#senders.filter((sender) => sender.connection !== connection);
    if (others.length === this.#senders.length) return;
    this.#senders = others;
    if (others.length > 0) this.#receiver?.askAgain();
    else this.#close(new DeadlineError('The worker that sent it has given up.'));
  }

  /** Resolves when nothing is written any more. */
  async close(error: Error): Promise<void> {
    this.#close(error);
    await this.stored.catch(() => undefined);
  }

  #close(error: Error): void {
    this.#closed ??= error;
    this.#receiver?.close(error);
  }

  async #store(target: string): Promise<string> {
    const { artefact, draft } = this;
    try {
      if (await this.#isStored(target)) return target;
      await mkdir(dirname(draft), { recursive: true });
      if (this.#closed) throw this.#closed;
      this.#receiver = new ArtefactReceiver({
        artefact,
        folder: draft,
        ask: (request) => {
          const sender = this.#senders.at(-1);
          if (sender) this.#send(sender.connection, { type: 'want', transfer: sender.transfer, ...request });
        },
      });
      await this.#receiver.received;
      await (artefact.kind === 'model' ? publishFolder(draft, target) : this.#publishCheckpoint(target));
      return target;
    } catch (cause) {
      // After a silence, the same or another worker may offer the artefact again.
      if (cause instanceof DeadlineError) throw cause;
      await rm(draft, { recursive: true, force: true }).catch(() => undefined);
      if (cause instanceof OperationalError) throw cause;
      throw artefact.kind === 'model'
        ? cannotSave(target, cause)
        : cannotWrite(artefact.step, dirname(target), cause);
    }
  }

  /** A sender that did not receive `stored` offers the checkpoint again. */
  async #isStored(target: string): Promise<boolean> {
    const { kind, files } = this.artefact;
    if (kind === 'model') return false;
    try {
      for (const { name, bytes, sha256 } of files) {
        const path = join(target, name);
        if ((await stat(path)).size !== bytes) return false;
        if (name !== manifestName) continue;
        const digest = createHash('sha256').update(await readFile(path));
        if (digest.digest('hex') !== sha256) return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  /** @throws CheckpointError if the manifest is not that of a checkpoint of this run and step */
  async #publishCheckpoint(target: string): Promise<void> {
    const { draft, artefact } = this;
    const { runId, keep } = this.#destination;
    const manifest = await readManifest(draft);
    const state = artefact.files.find(({ name }) => name === manifest.file.name);
    const isRight =
      manifest.step === artefact.step &&
      manifest.runId === runId &&
      manifest.file.bytes === state?.bytes &&
      manifest.file.sha256 === state.sha256;
    if (!isRight) {
      throw new CheckpointError(
        `Checkpoint of step ${artefact.step} was not stored: expected the manifest of this run, step and state, got another one.`,
        { step: artefact.step },
      );
    }
    await publishFolder(draft, target);
    await removeOld(dirname(target), keep);
  }
}

function cannotSave(target: string, cause: unknown): CheckpointError {
  return new CheckpointError(
    `Model can't be saved to ${target}: ${systemCode(cause) ?? String(cause)}. Choose another --out with enough free space.`,
    { target },
    cause,
  );
}

/** Removes what was received in part. Errors are ignored. @param isInUse returns true for folders that stay */
export async function removeUnfinished(out: string, isInUse: (folder: string) => boolean): Promise<void> {
  for (const folder of [out, join(out, checkpointsFolder)]) {
    const names = await readdir(folder).catch((): string[] => []);
    for (const name of names.filter((each) => unfinishedPattern.test(each))) {
      const path = join(folder, name);
      if (!isInUse(path)) await rm(path, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

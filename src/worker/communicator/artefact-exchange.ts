/**
 * A worker's end of the transfers between its own folders and the run's folder, for a worker that does not share the run's folder. Runs
 * in the communicator thread, beside the training. At most a few pieces are in flight, so heartbeats and reports wait for little. A
 * message that is lost, also with its coordinator, is repeated after a silence.
 */

import { randomUUID } from 'node:crypto';
import {
  contentOf,
  type Artefact,
  type ArtefactFileName,
  type ArtefactKind,
} from '../../shared/artefacts/artefact.js';
import { ArtefactHolder } from '../../shared/artefacts/holder.js';
import { ArtefactReceiver, retryMs } from '../../shared/artefacts/receiver.js';
import {
  CheckpointError,
  OperationalError,
  PeerLostError,
  fromWireError,
  systemCode,
  toWireError,
} from '../../shared/errors.js';
import type { CoordinatorMessage, MessageOf, WorkerMessage } from '../../shared/protocol/messages.js';

export type ArtefactRequest =
  /** Sends the files in `folder` to the run's folder. */
  | { readonly kind: 'upload'; readonly artefact: Artefact; readonly folder: string }
  /** Asks for the description of the coordinator's checkpoint of this step. */
  | { readonly kind: 'describe'; readonly step: number }
  /** Receives files of a checkpoint that was described. */
  | {
      readonly kind: 'download';
      readonly artefact: Artefact;
      readonly folder: string;
      readonly names: readonly ArtefactFileName[];
    };

export interface ArtefactAnswer {
  /** The path in the run's folder, for `upload`. */
  readonly path?: string;
  /** The description, for `describe`. */
  readonly artefact?: Artefact;
}

type TransferMessage = MessageOf<CoordinatorMessage, 'offer' | 'want' | 'piece' | 'withdraw' | 'stored'>;

/** One transfer in progress. */
interface Transfer {
  readonly kind: ArtefactRequest['kind'];
  readonly artefactKind: ArtefactKind;
  receive(message: TransferMessage): void;
  close(error: Error): void;
}

export interface ExchangeOptions {
  readonly send: (message: WorkerMessage) => void;
  /** Called for each piece, which is progress of a main thread that waits for the transfer. */
  readonly onPiece: () => void;
}

export class ArtefactExchange {
  readonly #options: ExchangeOptions;
  readonly #transfers = new Map<string, Transfer>();
  #failure: Error | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** Rejects with the coordinator's error, or with the error of this worker's file system. */
  perform(request: ArtefactRequest): Promise<ArtefactAnswer> {
    if (this.#failure) return Promise.reject(this.#failure);
    const transfer = randomUUID();
    return new Promise<ArtefactAnswer>((resolve, reject) => {
      const artefactKind = request.kind === 'describe' ? 'checkpoint' : request.artefact.kind;
      this.#supersede(request.kind, artefactKind);
      const settle = { resolve, reject };
      const begun = this.#begin(request, transfer, settle);
      this.#transfers.set(transfer, { kind: request.kind, artefactKind, ...begun });
    }).finally(() => this.#transfers.delete(transfer));
  }

  /** Returns true if the message belongs to a transfer, also to one that has ended. */
  receive(message: CoordinatorMessage): boolean {
    if (!('transfer' in message)) return false;
    this.#transfers.get(message.transfer)?.receive(message);
    return true;
  }

  /** Gives all transfers up: the run is over. */
  close(): void {
    this.fail(new PeerLostError('The run is over for this worker.'));
  }

  /** Gives all transfers up: the run has failed. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const transfer of [...this.#transfers.values()]) transfer.close(error);
  }

  /** A request replaces an earlier one of the same kind, whose generation has ended. */
  #supersede(kind: ArtefactRequest['kind'], artefactKind: ArtefactKind): void {
    for (const transfer of [...this.#transfers.values()]) {
      if (transfer.kind === kind && transfer.artefactKind === artefactKind)
        transfer.close(new CheckpointError(`A later ${artefactKind} replaced this one.`));
    }
  }

  #begin(request: ArtefactRequest, transfer: string, settle: Settle): Pick<Transfer, 'receive' | 'close'> {
    switch (request.kind) {
      case 'upload':
        return this.#upload(request, transfer, settle);
      case 'describe':
        return this.#describe(request.step, transfer, settle);
      case 'download':
        return this.#download(request, transfer, settle);
    }
  }

  #upload(
    { artefact, folder }: Extract<ArtefactRequest, { kind: 'upload' }>,
    transfer: string,
    { resolve, reject }: Settle,
  ): Pick<Transfer, 'receive' | 'close'> {
    const { send, onPiece } = this.#options;
    const repeating = repeat(() => send({ type: 'offer', transfer, artefact }));
    const close = (error: Error): void => {
      repeating.stop();
      reject(error);
    };
    const holder = new ArtefactHolder(folder, artefact, {
      piece: (piece) => {
        send({ type: 'piece', transfer, ...piece });
        onPiece();
      },
      failed: (error) => {
        send({ type: 'withdraw', transfer, error: toWireError(error) });
        close(error);
      },
    });
    return {
      close,
      receive: (message) => {
        repeating.heard();
        if (message.type === 'want') holder.answer(message);
        if (message.type === 'withdraw') close(fromWireError(message.error));
        if (message.type !== 'stored') return;
        repeating.stop();
        resolve({ path: message.path });
      },
    };
  }

  #describe(
    step: number,
    transfer: string,
    { resolve, reject }: Settle,
  ): Pick<Transfer, 'receive' | 'close'> {
    const repeating = repeat(() => this.#options.send({ type: 'fetch', transfer, step }));
    const close = (error: Error): void => {
      repeating.stop();
      reject(error);
    };
    return {
      close,
      receive: (message) => {
        if (message.type === 'withdraw') close(fromWireError(message.error));
        if (message.type !== 'offer') return;
        repeating.stop();
        resolve({ artefact: message.artefact });
      },
    };
  }

  #download(
    { artefact, folder, names }: Extract<ArtefactRequest, { kind: 'download' }>,
    transfer: string,
    { resolve, reject }: Settle,
  ): Pick<Transfer, 'receive' | 'close'> {
    const { send, onPiece } = this.#options;
    const fetch = (): void => send({ type: 'fetch', transfer, step: artefact.step });
    fetch();
    // The coordinator handles `fetch` before it offers; what is asked before that is not answered, and is asked again after the offer.
    const receiver = new ArtefactReceiver({
      artefact,
      folder,
      names,
      onPiece,
      ask: (piece) => send({ type: 'want', transfer, ...piece }),
      onSilence: fetch,
    });
    receiver.received.then(
      () => resolve({}),
      (cause: unknown) => reject(cause instanceof OperationalError ? cause : cannotWrite(folder, cause)),
    );
    return {
      close: (error) => receiver.close(error),
      receive: (message) => {
        if (message.type === 'piece') receiver.take(message);
        if (message.type === 'withdraw') receiver.close(fromWireError(message.error));
        if (message.type !== 'offer') return;
        if (contentOf(message.artefact) === contentOf(artefact)) receiver.askAgain();
        else receiver.close(new CheckpointError('The coordinator offers another checkpoint now.'));
      },
    };
  }
}

interface Settle {
  resolve(answer: ArtefactAnswer): void;
  reject(error: unknown): void;
}

function cannotWrite(folder: string, cause: unknown): CheckpointError {
  return new CheckpointError(
    `The checkpoint can't be received into ${folder} (${systemCode(cause) ?? String(cause)}). ` +
      'Set TMPDIR to a folder with enough free space.',
    { folder },
    cause,
  );
}

/** Sends a message now, and again whenever nothing was heard for a while. */
function repeat(send: () => void): { heard(): void; stop(): void } {
  let silent = false;
  const timer = setInterval(() => {
    if (silent) send();
    silent = true;
  }, retryMs);
  timer.unref();
  send();
  return { heard: () => void (silent = false), stop: () => clearInterval(timer) };
}

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, symlinkSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArtefactStore } from '../../src/coordinator/artefacts/artefact-store.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import {
  artefactSchema,
  contentOf,
  pieceBytes,
  piecesInFlight,
  type Artefact,
} from '../../src/shared/artefacts/artefact.js';
import {
  provesSharing,
  removeFolderProof,
  writeFolderProof,
} from '../../src/shared/artefacts/folder-proof.js';
import { ArtefactReceiver } from '../../src/shared/artefacts/receiver.js';
import { findCheckpoint, readCheckpoint } from '../../src/shared/checkpoint/read-checkpoint.js';
import { writeCheckpoint } from '../../src/shared/checkpoint/write-checkpoint.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import type { CoordinatorMessage, WorkerMessage } from '../../src/shared/protocol/messages.js';
import { decodeWorkerMessage, encodeMessage } from '../../src/shared/protocol/codec.js';
import { ArtefactExchange } from '../../src/worker/communicator/artefact-exchange.js';
import { openRunStorage, type RunStorage } from '../../src/worker/storage/run-storage.js';
import { checkpointContext } from '../support/checkpoint-context.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const runId = '00000000-0000-4000-8000-000000000000';
const config = resolveConfig(runConfigSchema.parse({ workers: 1, threads: 1 }), { cores: 1, gpus: [] });
const parameterCount = 1_000_000;
const layout = [{ name: 'w', shape: [parameterCount], vector: 'weights' as const, offset: 0 }];

/** Writes a checkpoint of 4 MB, 16 pieces, as a worker does. */
function checkpointIn(directory: string, step: number, id = runId): Promise<string> {
  const weights = Float32Array.from({ length: parameterCount }, (_, i) => i * step);
  return writeCheckpoint({
    directory: join(directory, 'checkpoints'),
    about: { ...checkpointContext(config), runId: id, step },
    layout,
    state: { vectors: new Map([['weights', weights]]), schedulerState: new Map() },
    keep: 9,
  });
}

/** A coordinator's store and workers without a network between them. A test changes or drops the messages on the way. */
class Link {
  store: ArtefactStore;
  readonly #out: string;
  readonly #exchanges = new Map<string, ArtefactExchange>();
  /** Returns the message that arrives; undefined if it is lost. */
  toCoordinator: (message: WorkerMessage, from: string) => WorkerMessage | undefined = (message) => message;
  sentPieces: string[] = [];
  mostWanted = 0;
  #wanted = 0;

  constructor(out: string) {
    this.#out = out;
    this.store = this.#open(false);
  }

  /** Replaces the coordinator without closing the one before, as after its death. */
  takeOver(): void {
    this.store = this.#open(true);
  }

  #open(isSuccessor: boolean): ArtefactStore {
    const store = new ArtefactStore({
      runId,
      out: this.#out,
      keep: 2,
      isSuccessor,
      send: (to, message) => {
        // A dead coordinator sends nothing.
        if (this.store === store) setImmediate(() => this.#deliver(to, message));
      },
    });
    return store;
  }

  #deliver(to: string, message: CoordinatorMessage): void {
    if (message.type === 'want') this.mostWanted = Math.max(this.mostWanted, ++this.#wanted);
    this.#exchanges.get(to)?.receive(message);
  }

  async worker(name: string): Promise<{ storage: RunStorage; exchange: ArtefactExchange }> {
    const exchange = new ArtefactExchange({
      send: (sent) => setImmediate(() => this.#arrive(name, sent)),
      onPiece: () => undefined,
    });
    this.#exchanges.set(name, exchange);
    const folder = { path: this.#out, value: 'f'.repeat(32) };
    return { exchange, storage: await openRunStorage(folder, (request) => exchange.perform(request)) };
  }

  #arrive(name: string, sent: WorkerMessage): void {
    if (sent.type === 'piece') {
      this.#wanted--;
      this.sentPieces.push(`${sent.file}:${sent.offset / pieceBytes}`);
    }
    const arrived = this.toCoordinator(sent, name);
    if (!arrived) return;
    const message = decodeWorkerMessage(encodeMessage(arrived), name);
    if (message.type === 'fetch')
      this.store.serve(name, message.transfer, join(this.#out, 'checkpoints', 'step-000000007'));
    else if (
      message.type === 'offer' ||
      message.type === 'want' ||
      message.type === 'piece' ||
      message.type === 'withdraw'
    )
      this.store.receive(name, message, parameterCount);
  }
}

let out: string;
let local: string;
let link: Link;
beforeEach(async () => {
  [out, local] = [await temporaryFolder(), await temporaryFolder()];
  link = new Link(out);
});
afterEach(() => link.store.close());

const namesIn = async (folder: string): Promise<string[]> => (await readdir(folder)).sort();
const loss = (folder: string): Promise<Float32Array | undefined> =>
  readCheckpoint(folder, layout, []).then(({ vectors }) => vectors.get('weights'));

describe('a checkpoint of a worker without the folder of the run', () => {
  it('arrives in the folder of the run, with few pieces in flight, and old ones are removed', async () => {
    const { storage } = await link.worker('a');
    for (const step of [5, 6, 7]) {
      const path = await storage.deliverCheckpoint(await checkpointIn(local, step));
      expect(path).toBe(join(out, 'checkpoints', `step-00000000${step}`));
    }
    expect(await namesIn(join(out, 'checkpoints'))).toEqual(['step-000000006', 'step-000000007']);
    expect((await loss(join(out, 'checkpoints', 'step-000000007')))?.[3]).toBe(21);
    expect(link.mostWanted).toBeLessThanOrEqual(piecesInFlight);
    expect(await namesIn(join(local, 'checkpoints'))).toEqual([]);
  });

  it('is continued by a new coordinator from what the one before has written', async () => {
    const { storage } = await link.worker('a');
    // The coordinator dies when nine of the sixteen pieces of the state have arrived.
    link.toCoordinator = (message) => {
      if (message.type !== 'piece' || message.file !== 1 || message.offset / pieceBytes < 9) return message;
      return undefined;
    };
    const delivered = storage.deliverCheckpoint(await checkpointIn(local, 7));
    const draft = await eventually('nine pieces', async () => {
      const [name] = await namesIn(join(out, 'checkpoints')).catch(() => []);
      const file = join(out, 'checkpoints', name ?? '', 'state.safetensors');
      return name !== undefined && (await stat(file).catch(() => undefined))?.size === 9 * pieceBytes && name;
    });
    expect(draft).toMatch(/^step-000000007\.incoming\.partial-/);
    // No piece that the dead coordinator asked for is still to come.
    await eventually('the pieces in flight', () => link.sentPieces.includes('1:12'));
    link.takeOver();
    link.toCoordinator = (message) => message;
    link.sentPieces = [];
    expect(await delivered).toBe(join(out, 'checkpoints', 'step-000000007'));
    expect(link.sentPieces).toEqual(['1:9', '1:10', '1:11', '1:12', '1:13', '1:14', '1:15']);
    expect(await namesIn(join(out, 'checkpoints'))).toEqual(['step-000000007']);
    expect((await loss(join(out, 'checkpoints', 'step-000000007')))?.[3]).toBe(21);
  });

  it('is continued with another worker that has the same state', async () => {
    const [one, other] = [await link.worker('a'), await link.worker('b')];
    link.toCoordinator = (message, from) =>
      from === 'a' && message.type === 'piece' && message.file === 1 && message.offset >= 4 * pieceBytes
        ? undefined
        : message;
    void one.storage.deliverCheckpoint(await checkpointIn(local, 7)).catch(() => undefined);
    await eventually('a cut', () => link.sentPieces.includes('1:7'));
    const second = await temporaryFolder();
    link.sentPieces = [];
    await other.storage.deliverCheckpoint(await checkpointIn(second, 7));
    expect(link.sentPieces[0]).toBe('1:4');
    expect((await loss(join(out, 'checkpoints', 'step-000000007')))?.[3]).toBe(21);
  });

  it('asks again for a piece that is lost or damaged', async () => {
    const { storage } = await link.worker('a');
    const damaged = new Set(['1:3', '1:8']);
    link.toCoordinator = (message) => {
      if (message.type !== 'piece' || !damaged.delete(`${message.file}:${message.offset / pieceBytes}`))
        return message;
      if (message.offset === 3 * pieceBytes) return undefined;
      const bytes = Buffer.from(message.bytes);
      bytes[17]! ^= 1;
      return { ...message, bytes };
    };
    await storage.deliverCheckpoint(await checkpointIn(local, 7));
    expect(link.sentPieces.filter((piece) => piece === '1:3')).toHaveLength(2);
    expect((await loss(join(out, 'checkpoints', 'step-000000007')))?.[3]).toBe(21);
  }, 20_000);

  it('is received as a whole if what the folder held is another file', async () => {
    const path = await checkpointIn(local, 7);
    const { storage } = await link.worker('a');
    link.toCoordinator = (message) => (message.type === 'piece' ? undefined : message);
    void storage.deliverCheckpoint(path).catch(() => undefined);
    const [name] = await eventually('a draft', () =>
      namesIn(join(out, 'checkpoints')).catch(() => undefined),
    );
    await eventually('the first piece', () => link.sentPieces.length > 0);
    link.takeOver();
    await writeFile(join(out, 'checkpoints', name ?? '', 'state.safetensors'), randomBytes(3 * pieceBytes));
    link.toCoordinator = (message) => message;
    await eventually('the checkpoint', () => existsSync(join(out, 'checkpoints', 'step-000000007')));
    expect((await loss(join(out, 'checkpoints', 'step-000000007')))?.[3]).toBe(21);
  }, 20_000);

  it('is refused if it is another run’s, too large, or its manifest belongs to another state', async () => {
    const { storage, exchange } = await link.worker('a');
    const other = await checkpointIn(local, 7, '00000000-0000-4000-8000-000000000001');
    await expect(storage.deliverCheckpoint(other)).rejects.toThrow(/expected the manifest of this run/);
    const artefact: Artefact = {
      kind: 'checkpoint',
      step: 8,
      files: [
        { name: 'manifest.json', bytes: 10, sha256: 'a'.repeat(64) },
        { name: 'state.safetensors', bytes: 2 ** 40, sha256: 'b'.repeat(64) },
      ],
    };
    await expect(exchange.perform({ kind: 'upload', artefact, folder: local })).rejects.toThrow(
      /expected at most 87108864 bytes for this model, got 1099511627786/,
    );
    expect(await namesIn(join(out, 'checkpoints'))).toEqual([]);
  });

  it('is not written through a symbolic link in place of its folder', async () => {
    const path = await checkpointIn(local, 7);
    const { storage } = await link.worker('a');
    const elsewhere = await temporaryFolder();
    await mkdir(join(out, 'checkpoints'));
    // The first offer is lost, and the link is made before the offer is repeated.
    link.toCoordinator = (message) => {
      if (message.type !== 'offer') return message;
      link.toCoordinator = (later) => later;
      const name = `step-000000007.incoming.partial-${contentOf(message.artefact)}`;
      symlinkSync(elsewhere, join(out, 'checkpoints', name));
      return undefined;
    };
    await expect(storage.deliverCheckpoint(path)).rejects.toThrow(/expected a folder, got something else/);
    expect(await namesIn(elsewhere)).toEqual([]);
  });

  it('fails with the error of the file system, and leaves nothing behind', async () => {
    await writeFile(join(out, 'checkpoints'), 'a file in place of the folder');
    const { storage } = await link.worker('a');
    await expect(storage.deliverCheckpoint(await checkpointIn(local, 7))).rejects.toThrow(
      /^Checkpoint of step 7 can't be written to .*checkpoints \((EEXIST|ENOTDIR)\)\. Training continues without it/,
    );
    await rm(join(out, 'checkpoints'));
    expect(await namesIn(out)).toEqual(['folder.proof']);
  });
});

describe('a worker that resumes', () => {
  it('receives the checkpoint of the coordinator, whatever is at its path here', async () => {
    await checkpointIn(out, 7);
    const { storage } = await link.worker('a');
    const stale = await checkpointIn(local, 7, '00000000-0000-4000-8000-000000000001');
    const found = await storage.find(7, stale);
    expect(found.path).not.toBe(stale);
    await found.complete();
    expect((await findCheckpoint(found.path)).manifest.runId).toBe(runId);
    await storage.close();
    expect(existsSync(found.path)).toBe(false);
  });

  it('reads the same checkpoint where it is, and is told if there is none', async () => {
    const path = await checkpointIn(out, 7);
    const { storage } = await link.worker('a');
    expect((await storage.find(7, path)).path).toBe(path);
    expect(link.sentPieces).toEqual([]);
    await rm(path, { recursive: true });
    await expect(storage.find(7, path)).rejects.toThrow(/expected the manifest of a checkpoint, got ENOENT/);
  });
});

describe('an offer', () => {
  const file = (name: string) => ({ name, bytes: 1, sha256: 'a'.repeat(64) });

  it.each([
    ['a path', ['manifest.json', '../state.safetensors']],
    ['an absolute path', ['manifest.json', '/etc/passwd']],
    ['an unknown name', ['manifest.json', 'state.safetensors', 'lockstep.config.ts']],
    ['a name twice', ['manifest.json', 'state.safetensors', 'manifest.json']],
    ['a file of a model', ['manifest.json', 'state.safetensors', 'model.json']],
    ['too few files', ['manifest.json']],
  ])('is refused with %s', (_, names) => {
    const artefact = { kind: 'checkpoint', step: 1, files: names.map(file) };
    expect(artefactSchema.safeParse(artefact).success).toBe(false);
    const message = { type: 'offer', transfer: randomUUID(), artefact } as unknown as WorkerMessage;
    expect(() => decodeWorkerMessage(encodeMessage(message), 'a')).toThrow(/refused/);
  });

  it.each([
    ['a longer piece', { bytes: Buffer.alloc(pieceBytes + 1) }],
    ['an empty piece', { bytes: Buffer.alloc(0) }],
    ['text', { bytes: 'text' }],
    ['a negative offset', { offset: -1 }],
    ['an unknown file', { file: 9 }],
  ])('is never followed by %s', (_, change) => {
    const piece = {
      type: 'piece',
      transfer: randomUUID(),
      file: 0,
      offset: 0,
      bytes: Buffer.alloc(1),
      checksum: 0,
    };
    expect(() => decodeWorkerMessage(encodeMessage({ ...piece, ...change } as WorkerMessage), 'a')).toThrow(
      /refused/,
    );
    expect(() => decodeWorkerMessage(encodeMessage(piece as WorkerMessage), 'a')).not.toThrow();
  });
});

describe('a receiver', () => {
  it('takes only the piece that is next, with the right length and checksum', async () => {
    const bytes = randomBytes(pieceBytes + 5);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const files: Artefact['files'] = [{ name: 'state.safetensors', bytes: bytes.length, sha256 }];
    const asked: number[] = [];
    const receiver = new ArtefactReceiver({
      artefact: { kind: 'checkpoint', step: 1, files },
      folder: join(local, 'draft'),
      ask: ({ offset }) => asked.push(offset),
    });
    await eventually('requests', () => asked.length === 2);
    const { crc32 } = await import('node:zlib');
    const piece = (offset: number, length: number) => {
      const part = bytes.subarray(offset, offset + length);
      return { file: 0, offset, bytes: part, checksum: crc32(part) };
    };
    receiver.take(piece(pieceBytes, 5));
    receiver.take(piece(0, 5));
    receiver.take({ ...piece(0, pieceBytes), checksum: 0 });
    receiver.take({ ...piece(0, pieceBytes), file: 1 });
    receiver.take(piece(0, pieceBytes));
    receiver.take(piece(0, pieceBytes));
    receiver.take(piece(pieceBytes, 5));
    await receiver.received;
    expect((await readFile(join(local, 'draft', 'state.safetensors'))).equals(bytes)).toBe(true);
    expect((await stat(join(local, 'draft'))).mode & 0o777).toBe(0o700);
  });
});

describe('the proof of a shared folder', () => {
  it('is the random value of this start, at the path of the coordinator', async () => {
    const before = writeFolderProof(local);
    const now = writeFolderProof(local);
    expect(await provesSharing(now)).toBe(true);
    expect(await provesSharing(before)).toBe(false);
    expect(await provesSharing({ ...now, path: out })).toBe(false);
    expect((await stat(join(local, 'folder.proof'))).mode & 0o777).toBe(0o600);
    expect(await namesIn(local)).toEqual(['folder.proof']);
    removeFolderProof(local);
    expect(await provesSharing(now)).toBe(false);
  });
});

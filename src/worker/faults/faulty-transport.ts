/**
 * Transports with faulty links, for tests and `lockstep chaos`: a data plane and a control client that wrap real ones and drop, delay,
 * duplicate or corrupt their messages. Constructed only when the launcher requests faults. Never reads the messages' contents.
 */

import type { LinkFaultKind } from '../../shared/faults/fault-request.js';
import { bytesOf, headerBytes, type Frame } from '../../shared/protocol/frame.js';
import type { Rank } from '../../shared/sharding/identifiers.js';
import type {
  ControlClient,
  ControlClientEvents,
  DataPlane,
  DataPlaneEvents,
  PeerAddress,
} from '../../shared/transport/transport.js';
import type { LinkFault } from './fault-injector.js';

const copyOf = (message: Frame): Buffer[] => message.map((part) => Buffer.from(part));

/** A copy with one bit flipped: in the payload if there is one, else in the first byte. */
function corrupted(message: Frame): Buffer[] {
  const copy = copyOf(message);
  const part = copy.findLast(({ length }) => length > 0);
  const at = part && bytesOf(copy) > headerBytes ? part.length - 1 : 0;
  if (part) part[at] = (part[at] ?? 0) ^ 0x10;
  return copy;
}

/** Injects faults into one direction of one link. */
class LinkFaultInjector {
  #fault: 'drop' | 'duplicate' | 'corrupt' | 'hold' | undefined;
  #held: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #onHit: () => void = () => undefined;

  pass(message: Frame, deliver: (message: Frame) => void): void {
    const fault = this.#fault;
    if (fault === undefined) {
      deliver(message);
      return;
    }
    this.#onHit();
    if (fault === 'hold') {
      // The sender may overwrite the message's memory before it is delivered.
      const copy = copyOf(message);
      this.#held.push(() => deliver(copy));
      return;
    }
    this.#fault = undefined;
    if (fault === 'duplicate') deliver(message);
    if (fault !== 'drop') deliver(fault === 'duplicate' ? copyOf(message) : corrupted(message));
  }

  /** @param onHit called with each message that the fault changes, drops or holds */
  inject(kind: LinkFaultKind, ms: number, onHit: () => void): void {
    this.#onHit = onHit;
    if (kind !== 'delay' && kind !== 'partition') {
      this.#fault = kind;
      return;
    }
    this.#fault = 'hold';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#heal(), ms);
    this.#timer.unref();
  }

  /** Drops the held messages: they belong to a connection that is closed. */
  dropHeld(): void {
    this.#held = [];
  }

  #heal(): void {
    this.#fault = undefined;
    const held = this.#held;
    this.#held = [];
    for (const deliver of held) deliver();
  }
}

interface Link {
  readonly outgoing: LinkFaultInjector;
  readonly incoming: LinkFaultInjector;
}

const newLink = (): Link => ({ outgoing: new LinkFaultInjector(), incoming: new LinkFaultInjector() });

/** @param onHit called once, with the first message that is hit */
function injectInto(link: Link, { kind, ms }: Pick<LinkFault, 'kind' | 'ms'>, onHit: () => void): void {
  let hit = false;
  const once = (): void => {
    if (!hit) onHit();
    hit = true;
  };
  link.outgoing.inject(kind, ms, once);
  if (kind === 'partition') link.incoming.inject(kind, ms, once);
}

export class FaultyDataPlane implements DataPlane {
  readonly #inner: DataPlane;
  readonly #senderOf: (frame: Frame) => number | undefined;
  /** By endpoint: a link stays faulty when its ends get other ranks. */
  #links = new Map<string, Link>();
  #peers = new Map<number, Link>();

  /** @param senderOf the rank in a frame's header */
  constructor(inner: DataPlane, senderOf: (frame: Frame) => number | undefined) {
    this.#inner = inner;
    this.#senderOf = senderOf;
  }

  get endpoint(): string {
    return this.#inner.endpoint;
  }

  get publicKey(): string | undefined {
    return this.#inner.publicKey;
  }

  connect(peers: readonly PeerAddress[], events: DataPlaneEvents): void {
    const before = this.#links;
    this.#links = new Map(peers.map(({ endpoint }) => [endpoint, before.get(endpoint) ?? newLink()]));
    this.#peers = new Map(peers.map(({ rank, endpoint }) => [rank, this.#links.get(endpoint) ?? newLink()]));
    for (const { outgoing } of this.#links.values()) outgoing.dropHeld();
    this.#inner.connect(peers, {
      frame: (frame) => {
        const link = this.#peers.get(this.#senderOf(frame) ?? -1);
        if (link) link.incoming.pass(frame, (passed) => events.frame(passed));
        else events.frame(frame);
      },
      disconnected: (rank) => events.disconnected(rank),
    });
  }

  send(to: Rank, frame: Frame): void {
    const link = this.#peers.get(to);
    if (link) link.outgoing.pass(frame, (passed) => this.#inner.send(to, passed));
    else this.#inner.send(to, frame);
  }

  /** Returns false if no peer has that rank. */
  inject(rank: Rank, fault: Pick<LinkFault, 'kind' | 'ms'>, onHit: () => void): boolean {
    const link = this.#peers.get(rank);
    if (link) injectInto(link, fault, onHit);
    return link !== undefined;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** Control messages have one part. */
const singlePart =
  (deliver: (bytes: Buffer) => void) =>
  ([bytes]: Frame): void => {
    if (bytes) deliver(bytes);
  };

export class FaultyControlClient implements ControlClient {
  readonly #inner: ControlClient;
  readonly #link = newLink();

  constructor(inner: ControlClient) {
    this.#inner = inner;
  }

  connect(events: ControlClientEvents): void {
    this.#inner.connect({
      message: (bytes) =>
        this.#link.incoming.pass([bytes as Buffer], singlePart(events.message.bind(events))),
      disconnected: () => events.disconnected(),
      refused: (error) => events.refused(error),
      busy: (error) => events.busy?.(error),
    });
  }

  send(bytes: Buffer): void {
    this.#link.outgoing.pass(
      [bytes],
      singlePart((passed) => this.#inner.send(passed)),
    );
  }

  inject(fault: Pick<LinkFault, 'kind' | 'ms'>, onHit: () => void): void {
    injectInto(this.#link, fault, onHit);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

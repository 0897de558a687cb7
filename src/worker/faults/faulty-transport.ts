/**
 * Links that can be disturbed, for tests and `lockstep chaos`: a data plane and a control client around real ones. Undisturbed,
 * a message costs one branch more. Owns what each fault does to the messages of one link; never looks into them.
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

export interface LinkFault {
  readonly kind: LinkFaultKind;
  readonly ms: number;
  readonly link: Rank | 'coordinator';
}

const copyOf = (message: Frame): Buffer[] => message.map((part) => Buffer.from(part));

/** One direction of one link. */
class LinkFaultInjector {
  #fault: 'drop' | 'duplicate' | 'corrupt' | 'hold' | undefined;
  #held: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #fired: () => void = () => undefined;

  pass(message: Frame, deliver: (message: Frame) => void): void {
    if (this.#fault === undefined) {
      deliver(message);
      return;
    }
    const fault = this.#fault;
    this.#fired();
    if (fault === 'hold') {
      // Its memory may be written again before it leaves.
      const copy = copyOf(message);
      this.#held.push(() => deliver(copy));
      return;
    }
    this.#fault = undefined;
    if (fault === 'drop') return;
    if (fault === 'duplicate') {
      deliver(message);
      deliver(copyOf(message));
      return;
    }
    const damaged = copyOf(message);
    // Its payload where it has one.
    const part = damaged.findLast(({ length }) => length > 0);
    const at = part && bytesOf(damaged) > headerBytes ? part.length - 1 : 0;
    if (part) part[at] = (part[at] ?? 0) ^ 0x10;
    deliver(damaged);
  }

  disturb(kind: LinkFaultKind, ms: number, fired: () => void): void {
    this.#fired = fired;
    if (kind !== 'delay' && kind !== 'partition') {
      this.#fault = kind;
      return;
    }
    this.#fault = 'hold';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#heal(), ms);
    this.#timer.unref();
  }

  /** What is held belongs to a connection that is gone. */
  forget(): void {
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

/** `fired` is called once, with the first message that is hit. */
function disturb(link: Link, { kind, ms }: LinkFault, fired: () => void): void {
  let hit = false;
  const once = (): void => {
    if (!hit) fired();
    hit = true;
  };
  link.outgoing.disturb(kind, ms, once);
  if (kind === 'partition') link.incoming.disturb(kind, ms, once);
}

export class FaultyDataPlane implements DataPlane {
  readonly #inner: DataPlane;
  readonly #senderOf: (frame: Frame) => number | undefined;
  /** By endpoint: a link stays broken when its ends get other ranks. */
  #links = new Map<string, Link>();
  #peers = new Map<number, Link>();

  /** @param senderOf the rank that a frame names */
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
    for (const { outgoing } of this.#links.values()) outgoing.forget();
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

  /** False when there is no such link. */
  disturb(fault: LinkFault, fired: () => void): boolean {
    const link = fault.link === 'coordinator' ? undefined : this.#peers.get(fault.link);
    if (link) disturb(link, fault, fired);
    return link !== undefined;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** Control messages have one part. */
const whole =
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
      message: (bytes) => this.#link.incoming.pass([bytes as Buffer], whole(events.message.bind(events))),
      disconnected: () => events.disconnected(),
      refused: (why) => events.refused(why),
    });
  }

  send(bytes: Buffer): void {
    this.#link.outgoing.pass(
      [bytes],
      whole((passed) => this.#inner.send(passed)),
    );
  }

  disturb(fault: LinkFault, fired: () => void): void {
    disturb(this.#link, fault, fired);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

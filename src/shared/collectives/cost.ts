/**
 * Cost model of an all-reduce: latency per hop, CPU time per message, and bytes over bandwidth (the terms of Thakur, Rabenseifner & Gropp
 * 2005). Owns the choice between one level and two. Every worker makes this choice by itself, so the choice must depend on the plan alone.
 */

export interface Network {
  /** Microseconds from a worker's send until the receiver's thread has the message. */
  readonly latencyUs: number;
  /** Microseconds of CPU per message sent or received. */
  readonly messageUs: number;
  /** Bytes per microsecond of a host's link, which its workers share. */
  readonly linkBytesPerUs: number;
  /** Bytes per microsecond between workers of one host. */
  readonly localBytesPerUs: number;
}

/** The assumed network: 10 Gb/s, and the message cost measured on two cores (docs/performance.md). */
export const typicalNetwork: Network = {
  latencyUs: 50,
  messageUs: 10,
  linkBytesPerUs: 1_250,
  localBytesPerUs: 4_000,
};

/** `hosts` hosts with `local` workers each. */
export interface Cluster {
  readonly hosts: number;
  readonly local: number;
}

export interface Load {
  readonly bytes: number;
  /** Number of collectives into which the bytes are divided. */
  readonly buckets: number;
  /** True if vectors are reduced as a whole instead of by reduce-scatter and all-gather. */
  readonly small: boolean;
}

/** Microseconds of an all-reduce, by resource. */
export interface Cost {
  readonly latencyUs: number;
  /** CPU of the busiest worker. */
  readonly messagesUs: number;
  readonly linkUs: number;
  readonly localUs: number;
}

/** @param messages number of messages that the busiest worker sends; it receives the same number */
const cost = (hops: number, messages: number, far: number, near: number, net: Network): Cost => ({
  latencyUs: hops * net.latencyUs,
  messagesUs: 2 * messages * net.messageUs,
  linkUs: far / net.linkBytesPerUs,
  localUs: near / net.localBytesPerUs,
});

export const totalUs = ({ latencyUs, messagesUs, linkUs, localUs }: Cost): number =>
  latencyUs + messagesUs + linkUs + localUs;

/** Cost of an all-reduce in one level. */
export function direct({ hosts, local }: Cluster, { bytes, buckets, small }: Load, net: Network): Cost {
  const n = hosts * local;
  if (n === 1) return cost(0, 0, 0, 0, net);
  const copies = small ? 1 : 2 / n;
  // All workers of a host share its link.
  const far = local * (n - local) * copies * bytes;
  const near = (local - 1) * copies * bytes;
  return cost(small ? 1 : 2, (small ? 1 : 2) * (n - 1) * buckets, far, near, net);
}

/** Cost of an all-reduce in two levels: inside hosts, then between them. */
export function twoLevels(cluster: Cluster, load: Load, net: Network): Cost {
  const { hosts, local } = cluster;
  if (hosts === 1) return direct(cluster, load, net);
  const { bytes, buckets, small } = load;
  // The first worker of each host receives the partials of its host and sends the result to it.
  if (small)
    return cost(3, (local - 1 + hosts - 1) * buckets, (hosts - 1) * bytes, 2 * (local - 1) * bytes, net);
  const messages = 2 * (local - 1 + hosts - 1) * buckets;
  return cost(4, messages, 2 * (1 - 1 / hosts) * bytes, 2 * (1 - 1 / local) * bytes, net);
}

export type CollectiveChoice = 'auto' | 'direct' | 'hierarchical';

/**
 * True if a collective has two levels.
 * @param sizes number of workers of each host
 */
export function inTwoLevels(choice: CollectiveChoice, sizes: readonly number[], load: Load): boolean {
  if (choice === 'direct' || sizes.length < 2) return false;
  const least = Math.min(...sizes);
  if (choice === 'hierarchical') return Math.max(...sizes) > 1;
  if (least < 2) return false;
  const cluster = { hosts: sizes.length, local: least };
  return totalUs(twoLevels(cluster, load, typicalNetwork)) < totalUs(direct(cluster, load, typicalNetwork));
}

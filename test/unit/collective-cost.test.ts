import { describe, expect, it } from 'vitest';
import { direct, inTwoLevels, totalUs, twoLevels } from '../../src/shared/collectives/cost.js';

/** Each term by itself: a microsecond a hop and a message, a byte a microsecond. */
const unit = { latencyUs: 1, messageUs: 1, linkBytesPerUs: 1, localBytesPerUs: 1 };

describe('the cost of an all-reduce', () => {
  it('counts hops, messages out and in, and the bytes of each link', () => {
    const cluster = { hosts: 4, local: 2 };
    const large = { bytes: 800, buckets: 4, small: false };
    // Each of 2 workers sends 2/8 of the vector to 6 workers elsewhere, and to one here.
    expect(direct(cluster, large, unit)).toEqual({
      latencyUs: 2,
      messagesUs: 2 * 2 * 7 * 4,
      linkUs: 2 * 6 * 200,
      localUs: 200,
    });
    // The data of a host crosses once: 2 (1 - 1/4) of the vector.
    expect(twoLevels(cluster, large, unit)).toEqual({
      latencyUs: 4,
      messagesUs: 2 * 2 * (1 + 3) * 4,
      linkUs: 1200,
      localUs: 800,
    });
    const vector = { bytes: 8, buckets: 1, small: true };
    expect(direct(cluster, vector, unit)).toEqual({
      latencyUs: 1,
      messagesUs: 2 * 7,
      linkUs: 2 * 6 * 8,
      localUs: 8,
    });
    expect(twoLevels(cluster, vector, unit)).toEqual({
      latencyUs: 3,
      messagesUs: 2 * (1 + 3),
      linkUs: 3 * 8,
      localUs: 16,
    });
  });

  it('is zero for a single worker, and that of one level for a single host', () => {
    const load = { bytes: 100, buckets: 1, small: false };
    expect(totalUs(direct({ hosts: 1, local: 1 }, load, unit))).toBe(0);
    const host = { hosts: 1, local: 8 };
    expect(twoLevels(host, load, unit)).toEqual(direct(host, load, unit));
  });

  it('favours two levels if hosts have several workers and exchange much data', () => {
    const bucket = { bytes: 524_288, buckets: 1, small: false };
    const eights = (hosts: number): number[] => Array.from({ length: hosts }, () => 8);
    expect(inTwoLevels('auto', eights(8), bucket)).toBe(true);
    expect(inTwoLevels('auto', eights(1), bucket)).toBe(false);
    expect(inTwoLevels('auto', [8, 8, 1], bucket)).toBe(false);
    expect(inTwoLevels('direct', eights(8), bucket)).toBe(false);
    expect(inTwoLevels('hierarchical', [8, 8, 1], bucket)).toBe(true);
    // Three hops of latency for a small vector pay only where there are many to send it to.
    const vector = { bytes: 1_032, buckets: 1, small: true };
    expect(inTwoLevels('auto', [2, 2], vector)).toBe(false);
    expect(inTwoLevels('auto', eights(8), vector)).toBe(true);
  });
});

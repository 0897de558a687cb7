/**
 * Appends the memory of the process to a file at an interval, each time after a full garbage collection, for bench/coordinator.ts:
 * `node --expose-gc --import 'file:///.../heap-probe.mjs?file=FILE&everyMs=NUMBER'`. One JSON object per line.
 */
import { appendFileSync } from 'node:fs';

const query = new URL(import.meta.url).searchParams;
const file = query.get('file');
const everyMs = Number(query.get('everyMs'));

setInterval(() => {
  globalThis.gc();
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  appendFileSync(file, `${JSON.stringify({ timeMs: Date.now(), heapUsed, external, arrayBuffers, rss })}\n`);
}, everyMs).unref();

/**
 * Raises the limits of the numbers of workers and shards in a process of Lockstep, for bench/coordinator.ts:
 * `node --import 'file:///.../lift-worker-limit.mjs?workers=NUMBER'`. Real workers cannot make use of it, because each of them needs a
 * socket to every other one.
 */
import { register } from 'node:module';

const workers = Number(new URL(import.meta.url).searchParams.get('workers'));
const hooks = `
  export async function load(url, context, next) {
    const loaded = await next(url, context);
    if (!/\\/dist\\/shared\\/config\\//.test(url)) return loaded;
    const source = String(loaded.source).replaceAll('positiveInt(1024)', 'positiveInt(${workers})');
    return { ...loaded, source };
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

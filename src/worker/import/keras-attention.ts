/** Converts the calls of Keras 3's MultiHeadAttention, which takes its inputs as arguments, to the form of tfjs. */

import type { CallConfig, LayerConfig } from '../model-files/layer-config.js';
import type { Keras3Call, Refuse } from './keras-file.js';

export const isAttention = ({ class_name }: LayerConfig): boolean => class_name === 'MultiHeadAttention';

/** Arguments of a call in Keras's order; the layer here has the first three as inputs. */
const parameters = ['query', 'value', 'key', 'query_mask', 'value_mask', 'key_mask', 'attention_mask'];
/** `training` is checked by the caller. */
const neutral = ['training'];

/**
 * Returns the inputs of the call, and sets `use_causal_mask` in the configuration of the layer.
 * @param tensorsOf returns the references of a tensor; undefined for anything else
 */
export function convertAttentionCall(
  { args, kwargs = {} }: Keras3Call,
  layer: LayerConfig,
  tensorsOf: (value: unknown) => CallConfig | undefined,
  refuse: Refuse,
): CallConfig {
  const field = 'inbound_nodes';
  const given = new Map<string, unknown>();
  for (const [i, value] of args.entries()) given.set(parameters[i] ?? `argument ${i}`, value);
  for (const [name, value] of Object.entries(kwargs)) given.set(name, value);
  const causal = given.get('use_causal_mask') === true;
  given.delete('use_causal_mask');
  const { config } = layer;
  if ((config['use_causal_mask'] ?? causal) !== causal)
    refuse(field, 'expected the same use_causal_mask in all calls, got true and false');
  config['use_causal_mask'] = causal;
  const inputs = ['query', 'value', 'key'].map((name) => {
    const value = given.get(name) ?? null;
    given.delete(name);
    return value === null ? undefined : (tensorsOf(value) ?? refuse(field, `expected a tensor as ${name}`));
  });
  for (const [name, value] of given) {
    if (value === null || value === false || neutral.includes(name)) continue;
    refuse(field, `the argument "${name}" is not supported`);
  }
  const [query, value, key] = inputs;
  if (!query || !value) return refuse(field, 'expected a query and a value');
  return [...query, ...value, ...(key ?? [])];
}

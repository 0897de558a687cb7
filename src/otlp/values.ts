/** Attributes, numbers and times in OTLP's JSON form, which is that of protocol buffers with ids in hexadecimal. */

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export function attributesOf(attributes: Attributes): readonly object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: numberValue(value) };
}

/** JSON has no literal for a number that is not finite. */
export const numberValue = (value: number): number | string =>
  Number.isFinite(value) ? value : String(value);

/** A 64-bit integer is a string in JSON. */
export const nanoseconds = (timeMs: number): string => String(BigInt(Math.round(timeMs * 1000)) * 1000n);

/** A value that JSON can hold. Numbers are finite: NaN and infinities are refused where params are read. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

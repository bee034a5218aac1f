import type { Readable } from 'node:stream'
import type { Static, TObject, TSchema } from 'typebox'

const MIB = 1024 * 1024
const DEFAULT_JSON_BYTES = MIB
const DEFAULT_FIELD_BYTES = 4_096

/** JSON: as the body of a request, or as a reply. `mostBytes` is of the body, decoded. */
export interface JsonSpec<S extends TSchema = TSchema> {
  kind: 'json'
  schema: S
  mostBytes: number
}

export interface FileRule {
  mostBytes: number
  /** How many parts of that name are taken; one unless told. Further ones are passed over. */
  most?: number
  /** Unless false, a form without it is refused. */
  required?: boolean
}

/** A `multipart/form-data` form (RFC 7578). Fields and files that are not declared are passed over. */
export interface FormSpec<F extends TObject = TObject> {
  kind: 'form'
  fields: F
  files: Readonly<Record<string, FileRule>>
  mostFieldBytes: number
}

/** Bytes as they are. */
export interface RawSpec {
  kind: 'raw'
  /** Media types, in lower case. The first is documented, the others are what clients send for it. */
  types: readonly [string, ...string[]]
  mostBytes: number
}

export type TakesSpec = JsonSpec | FormSpec | RawSpec
/** What an operation declares: one, or one of several by the request's content type. */
export type Takes = TakesSpec | readonly TakesSpec[]

export const json = <S extends TSchema>(schema: S, { mostBytes = DEFAULT_JSON_BYTES } = {}): JsonSpec<S> => ({
  kind: 'json',
  schema,
  mostBytes,
})

export const form = <F extends TObject>(parts: {
  fields: F
  files: Readonly<Record<string, FileRule>>
  mostFieldBytes?: number
}): FormSpec<F> => ({ kind: 'form', mostFieldBytes: DEFAULT_FIELD_BYTES, ...parts })

export const raw = (bytes: Omit<RawSpec, 'kind'>): RawSpec => ({ kind: 'raw', ...bytes })

/** A file of a form, as it comes: whoever wants the next reads or destroys this one first. */
export interface FormFile {
  /** The name of its part. */
  part: string
  /** The last segment of the client's name for it, without control characters. */
  filename: string | undefined
  contentType: string
  /** Destroyed with a 400 or 413 where the form is broken or the file too large. */
  bytes: Readable
}

/** A form as it arrives: nothing of a file is held but what its reader has not taken yet. */
export interface FormBody<Fields> {
  kind: 'form'
  /** In the order of the form. Errors: 400, 413. */
  files: AsyncIterable<FormFile>
  /** Checked; complete when the files have ended, since fields may come behind them. Errors: 400 naming the field. */
  fields: () => Fields
}

export interface RawBody {
  kind: 'raw'
  /** In lower case, without parameters. */
  contentType: string
  /** Destroyed with a 413 where there is more than the operation takes. */
  bytes: Readable
}

/** JSON where other kinds are taken too. */
export interface JsonBody<Value> {
  kind: 'json'
  value: Value
}

type OneOfSeveral<T> =
  T extends JsonSpec<infer S>
    ? JsonBody<Static<S>>
    : T extends FormSpec<infer F>
      ? FormBody<Static<F>>
      : T extends RawSpec
        ? RawBody
        : never

/** What a handler is given: the value itself where nothing but JSON is taken. */
export type BodyOf<T extends Takes | undefined> = T extends readonly (infer One)[]
  ? OneOfSeveral<One>
  : T extends JsonSpec<infer S>
    ? Static<S>
    : T extends TakesSpec
      ? OneOfSeveral<T>
      : undefined

import { Type, type TSchema } from 'typebox'

/** Where a schema has two faces, the one that is documented is kept under this keyword of the one that is checked. */
export const DOCUMENTED = 'x-documented'

/** Documents one schema and checks another. */
export const faces = <Accepted extends TSchema>(documented: TSchema, accepted: Accepted): Accepted => ({
  ...accepted,
  [DOCUMENTED]: documented,
})

/** Documents the launch values and accepts any text: what exists at run time is decided by the service. */
export const OpenEnum = (values: readonly string[], maxLength = 256) =>
  faces(Type.Enum([...values]), Type.String({ minLength: 1, maxLength }))

/** A page size: documented as any integer, accepted from 1 to `most`. */
export const Limit = (most: number) => faces(Type.Integer(), Type.Integer({ minimum: 1, maximum: most }))

/** An RFC 3339 time in UTC, as `Date.toISOString` prints it. */
export const Timestamp = Type.String({ format: 'date-time' })

/** Any JSON object, documented without an empty list of properties. */
export const anyObject = (options: object = {}) => Type.Unsafe<Record<string, unknown>>({ type: 'object', ...options })

const nullable = <T extends TSchema>(schema: T) =>
  faces({ ...schema, nullable: true }, Type.Union([schema, Type.Null()]))

/** Documented as required to have a value, and accepted as null too: clients send null for what they leave out. */
export const orNull = <T extends TSchema>(schema: T) =>
  faces(
    ((schema as Record<string, unknown>)[DOCUMENTED] as TSchema | undefined) ?? schema,
    Type.Union([schema, Type.Null()]),
  )

/** What may be null, in the contract's spelling. */
export const nullableString = (format?: string) => nullable(Type.String(format === undefined ? {} : { format }))
export const nullableNumber = () => nullable(Type.Number())
export const nullableObject = () => nullable(anyObject({ additionalProperties: true }))

/** A list's cursor: the id after which the page begins. */
export const After = Type.String({ minLength: 1, maxLength: 256 })

const DATE = '^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[+-]\\d{2}:\\d{2}))?$'

const described = (description: string | undefined) => (description === undefined ? {} : { description })

/** A time in a query: a date, or a date and a time with its zone. */
export const QueryTime = (description?: string) =>
  faces(Type.String({ format: 'date-time', ...described(description) }), Type.String({ pattern: DATE }))

/** A text in a query. */
export const QueryText = (description?: string) =>
  faces(Type.String(described(description)), Type.String({ minLength: 1, maxLength: 256 }))

import type { RequestContext } from '../request/request-context.ts'
import { classify, errorBody, errorHeaders } from './classify.ts'
import { rpcErrorText } from './json-rpc.ts'
import { s3ErrorText, s3Status } from './s3-xml.ts'

/** The forms in which operations tell of errors. */
export type Dialect = 'ipop' | 's3-xml' | 'json-rpc'

export interface ErrorText {
  status: number
  headers: Record<string, string>
  contentType: string
  text: string
}

type Writer = (error: unknown, context: RequestContext) => ErrorText

const JSON_TYPE = 'application/json; charset=utf-8'

const WRITERS: Record<Dialect, Writer> = {
  ipop: (error, { requestId }) => {
    const failure = classify(error)
    const text = JSON.stringify(errorBody(failure, requestId))
    return { status: failure.status, headers: errorHeaders(failure), contentType: JSON_TYPE, text }
  },
  's3-xml': (error, { requestId, request }) => {
    const failure = classify(error)
    const text = s3ErrorText(failure, requestId, pathOf(request.url ?? ''))
    return { status: s3Status(failure), headers: errorHeaders(failure), contentType: 'application/xml', text }
  },
  'json-rpc': (error, { requestId, rpcId }) => {
    const failure = classify(error)
    const text = rpcErrorText(failure, requestId, rpcId)
    return { status: failure.status, headers: errorHeaders(failure), contentType: JSON_TYPE, text }
  },
}

/** A failure in the form that the operation's clients read. */
export const errorText = (dialect: Dialect, error: unknown, context: RequestContext): ErrorText =>
  WRITERS[dialect](error, context)

const pathOf = (url: string): string => url.split('?', 1)[0] ?? ''

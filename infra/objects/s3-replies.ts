import type { IncomingHttpHeaders } from 'node:http'
import { DEFAULT_CONTENT_TYPE, type ObjectInfo } from './store.ts'

/** What the headers of a reply to GET (also of a range) or HEAD tell of the object. */
export function infoOf(key: string, headers: IncomingHttpHeaders): ObjectInfo {
  const wholeSize = headers['content-range']?.split('/')[1]
  return {
    key,
    sizeBytes: Number(wholeSize ?? headers['content-length'] ?? 0),
    etag: unquoted(headers.etag),
    contentType: headers['content-type'] ?? DEFAULT_CONTENT_TYPE,
    modifiedAt: new Date(headers['last-modified'] ?? 0),
  }
}

/** An etag without the quotes that belong to the header (RFC 9110 section 8.8.3). */
export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replace(/^"|"$/g, '')
}

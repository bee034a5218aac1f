import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { XMLParser } from 'fast-xml-parser'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { unquoted } from './s3-replies.ts'
import type { ListedObject } from './store.ts'

interface Listing {
  objects: ListedObject[]
  isTruncated: boolean
}

export interface UnfinishedUpload {
  key: string
  uploadId: string
  begunAt: Date
}

interface UploadListing {
  uploads: UnfinishedUpload[]
  /** The query of the next page; undefined at the end. */
  next: string | undefined
}

const Content = Type.Object({
  Key: Type.String(),
  Size: Type.String(),
  ETag: Type.String(),
  LastModified: Type.String(),
})
const Upload = Type.Object({ Key: Type.String(), UploadId: Type.String(), Initiated: Type.String() })
const UploadsReply = Type.Object({
  ListMultipartUploadsResult: Type.Object({
    IsTruncated: Type.String(),
    NextKeyMarker: Type.Optional(Type.String()),
    NextUploadIdMarker: Type.Optional(Type.String()),
    Upload: Type.Optional(Type.Array(Upload)),
  }),
})
const ObjectsReply = Type.Object({
  ListBucketResult: Type.Object({ IsTruncated: Type.String(), Contents: Type.Optional(Type.Array(Content)) }),
})

/** Every value stays the text that it is: `007` and `true` are keys. */
const parser = new XMLParser({
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
  isArray: name => name === 'Contents' || name === 'Upload',
})

/**
 * The query of ListObjectsV2. Not minio's call: it asks for URL-encoded keys and decodes them also where the server
 * did not encode them, and reads numbers where keys look like them. The keys of this store need no encoding.
 */
export function listQuery(prefix: string, after: string, maxKeys: number): string {
  return queryOf({ 'list-type': '2', 'max-keys': String(maxKeys), prefix, 'start-after': after })
}

/** Errors: of a reply that is not ListObjectsV2's. */
export async function readListing(response: IncomingMessage): Promise<Listing> {
  const { ListBucketResult } = Value.Parse(ObjectsReply, parser.parse(await text(response)))
  const objects = (ListBucketResult.Contents ?? []).map(content => ({
    key: content.Key,
    sizeBytes: Number(content.Size),
    etag: unquoted(content.ETag),
    modifiedAt: new Date(content.LastModified),
  }))
  return { objects, isTruncated: ListBucketResult.IsTruncated === 'true' }
}

/** The query of ListMultipartUploads' first page. */
export const FIRST_UPLOADS = 'uploads='

/** Errors: of a reply that is not ListMultipartUploads'. */
export async function readUploads(response: IncomingMessage): Promise<UploadListing> {
  const { ListMultipartUploadsResult } = Value.Parse(UploadsReply, parser.parse(await text(response)))
  const { IsTruncated, NextKeyMarker = '', NextUploadIdMarker = '', Upload = [] } = ListMultipartUploadsResult
  const uploads = Upload.map(upload => ({
    key: upload.Key,
    uploadId: upload.UploadId,
    begunAt: new Date(upload.Initiated),
  }))
  const markers = queryOf({ 'key-marker': NextKeyMarker, 'upload-id-marker': NextUploadIdMarker })
  return { uploads, next: IsTruncated === 'true' ? `${FIRST_UPLOADS}&${markers}` : undefined }
}

function queryOf(parameters: Record<string, string>): string {
  return Object.entries(parameters)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/[!'()*]/g, hexOf)}`)
    .join('&')
}

/** What encodeURIComponent leaves and a signature wants encoded (RFC 3986 section 2.3). */
function hexOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}

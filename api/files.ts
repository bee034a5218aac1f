import { Type } from 'typebox'
import {
  DEFAULT_PURPOSE,
  FileListResponse,
  FileObject,
  FileParams,
  ListFilesQuery,
  UploadFileQuery,
} from '../domain/files/file.schema.ts'
import { deleteFile, getFile, listFiles, readFile, uploadFile } from '../domain/files/file.service.ts'
import { readUpload } from './http/multipart.ts'
import { parseRange, rangeReply } from './http/range.ts'
import { binaryRoute, route } from './http/route.ts'

const NOT_FOUND = { 404: 'There is no such file' }
const Bytes = Type.Unsafe({ type: 'string', format: 'binary' })

export const fileRoutes = [
  route({
    method: 'GET',
    path: '/files',
    auth: 'apiKey',
    summary: 'List your files, the newest first',
    query: ListFilesQuery,
    reply: FileListResponse,
    handle: ({ caller, query }, deps) => listFiles(deps, caller, query),
  }),
  route({
    method: 'POST',
    path: '/files',
    auth: 'apiKey',
    summary: 'Upload a file',
    description:
      'The body is the raw bytes (`application/octet-stream`, with `purpose` and `filename` as query parameters) or a ' +
      '`multipart/form-data` form with `purpose` and `file`. At most 512 MiB; what does not arrive whole leaves nothing.',
    query: UploadFileQuery,
    upload: {
      'application/octet-stream': Bytes,
      'multipart/form-data': Type.Object({ file: Bytes, purpose: Type.Optional(Type.String()) }),
    },
    reply: FileObject,
    errors: { 413: 'The file is too large', 415: 'The body is of another type' },
    handle: async ({ caller, query, upload, header, signal }, deps) => {
      const form = await readUpload(upload, header)
      const details = () => {
        const { purpose, filename } = form.fields()
        return { purpose: query.purpose ?? purpose ?? DEFAULT_PURPOSE, filename: query.filename ?? filename ?? null }
      }
      return uploadFile(deps, caller, { body: form.body, signal, details })
    },
  }),
  route({
    method: 'GET',
    path: '/files/{file_id}',
    auth: 'apiKey',
    summary: "Get a file's metadata",
    params: FileParams,
    reply: FileObject,
    errors: NOT_FOUND,
    handle: ({ caller, params }, deps) => getFile(deps, caller, params.file_id),
  }),
  route({
    method: 'DELETE',
    path: '/files/{file_id}',
    auth: 'apiKey',
    summary: 'Delete a file',
    params: FileParams,
    status: 204,
    errors: NOT_FOUND,
    handle: async ({ caller, params }, deps) => {
      await deleteFile(deps, caller, params.file_id)
      return undefined
    },
  }),
  binaryRoute({
    method: 'GET',
    path: '/files/{file_id}/content',
    auth: 'apiKey',
    summary: "Download a file's bytes, whole or a range",
    params: FileParams,
    content: { 'application/octet-stream': Bytes },
    errors: { ...NOT_FOUND, 416: 'The range lies outside of the file' },
    handle: async ({ caller, params, header, signal }, deps) => {
      const { file, reading, range } = await readFile(
        deps,
        caller,
        params.file_id,
        size => parseRange(header('range'), size),
        signal,
      )
      const of = { sizeBytes: file.bytes, contentType: 'application/octet-stream', etag: file.sha256 }
      return rangeReply(of, reading.body, range, {
        'content-disposition': `attachment; filename*=UTF-8''${extendedValue(file.filename ?? file.id)}`,
      })
    },
  }),
]

/** A text as the value of an extended parameter (RFC 8187 section 3.2.1). */
const extendedValue = (text: string): string =>
  encodeURIComponent(text).replaceAll(/['()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

import { Type } from 'typebox'
import {
  DEFAULT_PURPOSE,
  FileListResponse,
  FileObject,
  FileParams,
  ListFilesQuery,
  UploadFileQuery,
  UploadPurpose,
} from '../../../domain/work/files/file.schema.ts'
import {
  deleteFile,
  FILE_LIMIT_BYTES,
  getFile,
  listFiles,
  openFile,
  uploadFile,
} from '../../../domain/work/files/file.service.ts'
import { bytes } from '../../http/gives/gives.ts'
import { storedBytes } from '../../http/gives/stored-bytes.ts'
import { route } from '../../http/route.ts'
import { onlyFile } from '../../http/takes/form.ts'
import { form, json, raw } from '../../http/takes/takes.ts'

const NOT_FOUND = { 404: 'There is no such file' }
const FileBytes = Type.Unsafe({ type: 'string', format: 'binary' })
const RAW_TYPES = [
  'application/octet-stream',
  'application/jsonl',
  'application/x-ndjson',
  'application/json',
  'text/plain',
] as const

export const fileRoutes = [
  route({
    method: 'GET',
    path: '/files',
    auth: 'apiKey',
    summary: 'List your files, the newest first',
    query: ListFilesQuery,
    gives: json(FileListResponse),
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
    takes: [
      raw({ types: RAW_TYPES, mostBytes: FILE_LIMIT_BYTES }),
      form({
        fields: Type.Object({ purpose: Type.Optional(UploadPurpose) }),
        files: { file: { mostBytes: FILE_LIMIT_BYTES } },
      }),
    ],
    gives: json(FileObject),
    errors: { 413: 'The file is too large', 415: 'The body is of another type' },
    handle: async ({ caller, query, body, signal }, deps) => {
      const upload =
        body.kind === 'raw'
          ? { bytes: body.bytes, filename: undefined, fields: () => ({ purpose: undefined }) }
          : { ...(await onlyFile(body)), fields: body.fields }
      const details = () => ({
        purpose: query.purpose ?? upload.fields().purpose ?? DEFAULT_PURPOSE,
        filename: query.filename ?? upload.filename ?? null,
      })
      return uploadFile(deps, caller, { body: upload.bytes, signal, details })
    },
  }),
  route({
    method: 'GET',
    path: '/files/{file_id}',
    auth: 'apiKey',
    summary: "Get a file's metadata",
    params: FileParams,
    gives: json(FileObject),
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
  route({
    method: 'GET',
    path: '/files/{file_id}/content',
    auth: 'apiKey',
    summary: "Download a file's bytes, whole or a range",
    params: FileParams,
    gives: bytes({ 'application/octet-stream': FileBytes }),
    errors: {
      ...NOT_FOUND,
      412: 'The file is not the one that the request names',
      416: 'The range lies outside of the file',
    },
    handle: async (request, deps) => {
      const { caller, params, signal } = request
      const { file, createdAt, read } = await openFile(deps, caller, params.file_id)
      return storedBytes(request, {
        sizeBytes: file.bytes,
        contentType: 'application/octet-stream',
        etag: file.sha256,
        modifiedAt: createdAt,
        headers: { 'content-disposition': `attachment; filename*=UTF-8''${extendedValue(file.filename ?? file.id)}` },
        open: range => read(range, signal),
      })
    },
  }),
]

/** A text as the value of an extended parameter (RFC 8187 section 3.2.1). */
const extendedValue = (text: string): string =>
  encodeURIComponent(text).replaceAll(/['()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

import { Type, type Static } from 'typebox'
import { After, faces, Limit, nullableString, OpenEnum, Timestamp } from '../../core/schemas.schema.ts'

const STORED_PURPOSES = ['batch', 'batch_output', 'batch_error', 'fine-tune', 'fine-tune-validation']
/** What a caller may upload for. */
const UPLOAD_PURPOSES = ['batch', 'fine-tune', 'fine-tune-validation', 'assistants', 'user_data', 'vision'] as const
export const DEFAULT_PURPOSE = 'batch'

export const FileObject = Type.Object(
  {
    id: Type.String(),
    owner_user_id: Type.String(),
    purpose: OpenEnum(STORED_PURPOSES),
    bytes: Type.Integer({ minimum: 0 }),
    sha256: Type.String(),
    storage_uri: Type.String(),
    created_at: Timestamp,
    expires_at: Type.Optional(nullableString('date-time')),
    filename: Type.Optional(nullableString()),
    object_kind: Type.Optional(Type.Enum(['file'])),
    project_id: Type.Optional(nullableString()),
  },
  { $id: 'FileObject', additionalProperties: true },
)
/** OpenAI's clients also read `object` and `status`, and type its time as seconds, which `created` has. */
export type FileObject = Static<typeof FileObject> & { object: 'file'; status: 'processed'; created: number }

export const FileListResponse = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(FileObject) },
  { $id: 'FileListResponse', additionalProperties: true },
)
export interface FileList {
  object: 'list'
  data: FileObject[]
  has_more: boolean
  first_id: string | null
  last_id: string | null
}

const FileName = Type.String({ minLength: 1, maxLength: 255, pattern: '^[^/\\\\\\u0000-\\u001f\\u007f]+$' })

export const UploadPurpose = faces(Type.String(), Type.Enum([...UPLOAD_PURPOSES]))

export const UploadFileQuery = Type.Object({
  purpose: Type.Optional(UploadPurpose),
  filename: Type.Optional(faces(Type.String(), FileName)),
})

export const ListFilesQuery = Type.Object({
  purpose: Type.Optional(faces(Type.String(), Type.String({ maxLength: 64 }))),
  limit: Type.Optional(Limit(10_000)),
  after: Type.Optional(After),
})
export type ListFilesQuery = Static<typeof ListFilesQuery>

export const FileParams = Type.Object({ file_id: Type.String() })

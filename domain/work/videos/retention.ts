import type { ObjectStore } from '../../../infra/objects/store.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { forgetContent, selectOldContents } from './video.sql.ts'

const RETENTION_DAYS = 30
const AT_ONCE = 50

/** Removes videos past their retention; true where there may be more. */
export async function sweepVideos(deps: { db: Database; objects: ObjectStore }): Promise<boolean> {
  return inTransaction(deps.db, async tx => {
    const old = await selectOldContents(tx, RETENTION_DAYS, AT_ONCE)
    for (const { id, content } of old) {
      await deps.objects.delete(content.key)
      await forgetContent(tx, id)
    }
    return old.length === AT_ONCE
  })
}

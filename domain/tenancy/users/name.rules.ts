import { badRequest } from '../../core/errors.ts'

const NAME_LIMIT = 200

export function requireName(name: string): void {
  if (name.trim() === '' || name.length > NAME_LIMIT)
    throw badRequest(`A name has 1 to ${NAME_LIMIT} characters.`, 'name')
}

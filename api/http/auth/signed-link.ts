import { unauthorized } from '../../../domain/core/errors.ts'
import { requireSigningKeys } from '../../../infra/config.ts'
import { OPERATION_LINK, verifyLink, type LinkTarget } from '../../../infra/crypto/links.ts'
import type { LinkPrincipal } from './principal.ts'
import type { Way } from './way.ts'

const LINK: LinkPrincipal = { kind: 'link' }

/** A link that was given out for just this: the method, the path, and every parameter of the query. */
export const signedLinkWay: Way<LinkPrincipal> = {
  schemes: {
    SignedLink: {
      type: 'apiKey',
      in: 'query',
      name: 'signature',
      description: 'Of a link that was given out, beside `expires`, its end in Unix time. Used as it is.',
    },
  },
  needs: 'a signed link',
  enter: ({ config }, { request }) => {
    const [path = '', search = ''] = (request.url ?? '').split(/\?(.*)/s)
    const query = new URLSearchParams(search)
    const { expires, signature = '', ...claims } = Object.fromEntries(query)
    if (signature === '') return undefined
    const method = request.method as LinkTarget['method']
    const target = { purpose: OPERATION_LINK, method, path, claims }
    // Of a parameter that comes twice, the handler might take the one that is not signed.
    const isPlain = query.size === Object.keys(claims).length + 2
    const isGood = isPlain && verifyLink(requireSigningKeys(config), target, { expires: Number(expires), signature })
    return isGood ? LINK : Promise.reject(unauthorized('The link is not valid, or has expired.'))
  },
}

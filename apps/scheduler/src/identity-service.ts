import { Role, type AuthenticateRequest, type AuthenticateResponse } from '@tidemark/contracts';
import type { RoleName } from '@tidemark/model';
import type { Identity } from './api-keys.js';

/** IdentityService. */
export class IdentityServiceHandler {
  constructor(private readonly identity: Identity) {}

  async authenticate(request: AuthenticateRequest): Promise<AuthenticateResponse> {
    const key = await this.identity.authenticate(request.apiKey, new Date());
    return {
      tenantId: key.tenantId,
      keyId: key.id,
      roles: key.roles.map(toRole),
      expireTime: key.expireTime,
    };
  }
}

function toRole(role: RoleName): Role {
  switch (role) {
    case 'READ':
      return Role.READ;
    case 'SYNC':
      return Role.SYNC;
    case 'ADMIN':
      return Role.ADMIN;
  }
}

import type { MethodDefinition, TsProtoServiceDefinition } from 'nice-grpc';

/** The complete message of a generated message type. */
type MessageOf<Type> = Type extends { decode(input: Uint8Array): infer Message } ? Message : never;

type Methods<Definition extends TsProtoServiceDefinition> = Definition['methods'];

/** A service whose methods take and give complete messages. */
export type FastDefinition<Definition extends TsProtoServiceDefinition> = {
  [Method in keyof Methods<Definition>]: MethodDefinition<
    MessageOf<Methods<Definition>[Method]['requestType']>,
    MessageOf<Methods<Definition>[Method]['requestType']>,
    MessageOf<Methods<Definition>[Method]['responseType']>,
    MessageOf<Methods<Definition>[Method]['responseType']>,
    Methods<Definition>[Method]['requestStream'],
    Methods<Definition>[Method]['responseStream']
  >;
};

/** A service whose methods take and give encoded messages. */
export type RawDefinition<Definition extends TsProtoServiceDefinition> = {
  [Method in keyof Methods<Definition>]: MethodDefinition<
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Methods<Definition>[Method]['requestStream'],
    Methods<Definition>[Method]['responseStream']
  >;
};

const identity = (bytes: Uint8Array): Uint8Array => bytes;

/**
 * The same service without the copy that `fromPartial` makes of every message sent. For hot paths: messages must be
 * complete, which the types demand.
 */
export function fastDefinition<Definition extends TsProtoServiceDefinition>(
  definition: Definition,
): FastDefinition<Definition> {
  const methods = Object.entries(definition.methods).map(
    ([key, { requestType, responseType, ...method }]) => [
      key,
      {
        ...frame(definition, method),
        requestSerialize: (message: unknown) => requestType.encode(message).finish(),
        requestDeserialize: (bytes: Uint8Array): unknown => requestType.decode(bytes),
        responseSerialize: (message: unknown) => responseType.encode(message).finish(),
        responseDeserialize: (bytes: Uint8Array): unknown => responseType.decode(bytes),
      },
    ],
  );
  return Object.fromEntries(methods) as FastDefinition<Definition>;
}

/** The same service on encoded messages: a relay neither decodes nor encodes them. */
export function passThrough<Definition extends TsProtoServiceDefinition>(
  definition: Definition,
): RawDefinition<Definition> {
  const methods = Object.entries(definition.methods).map(([key, method]) => [
    key,
    {
      ...frame(definition, method),
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  ]);
  return Object.fromEntries(methods) as RawDefinition<Definition>;
}

type Method = TsProtoServiceDefinition['methods'][string];

function frame(
  definition: TsProtoServiceDefinition,
  method: Pick<Method, 'name' | 'requestStream' | 'responseStream' | 'options'>,
) {
  return {
    path: `/${definition.fullName}/${method.name}`,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    options: method.options,
  };
}

using System.Buffers.Binary;
using System.Security.Cryptography;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Ids of the tool calls of an answer: made from the request's, so that they are the same however often the answer is told.</summary>
internal static class ToolCallIds
{
    private const int IdBytes = 12;

    /// <summary>"call_" and 24 hexadecimal digits: some clients take no more than 40 characters.</summary>
    public static string Of(RequestId request, int choice, int index)
    {
        Span<byte> source = stackalloc byte[24];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        request.Value.TryWriteBytes(source);
        BinaryPrimitives.WriteInt32LittleEndian(source[16..], choice);
        BinaryPrimitives.WriteInt32LittleEndian(source[20..], index);
        SHA256.HashData(source, hash);
        return "call_" + Convert.ToHexStringLower(hash[..IdBytes]);
    }
}

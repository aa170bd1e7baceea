using System.Security.Cryptography;
using System.Text;

namespace Qanat.Gateway;

/// <summary>Keeps secrets encrypted at rest (AES-256-GCM) under a key file that only its owner reads. Each secret is bound to what it belongs to: moved to another name it does not open.</summary>
public sealed class SecretBox
{
    private const int KeyBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private readonly byte[] key;

    private SecretBox(byte[] key) => this.key = key;

    /// <summary>Opens the key file; makes one with a random key when there is none.</summary>
    /// <exception cref="InvalidDataException">The file is not a key.</exception>
    public static SecretBox Open(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (!File.Exists(file)) Create(file);
        byte[] key = File.ReadAllBytes(file);
        return key.Length == KeyBytes ? new SecretBox(key)
            : throw new InvalidDataException($"{file} is not a key of {KeyBytes} bytes: put the right one back, or remove it and give every upstream its secret again.");
    }

    /// <param name="owner">What the secret belongs to.</param>
    public byte[] Seal(string owner, string secret)
    {
        byte[] plain = Encoding.UTF8.GetBytes(secret);
        byte[] sealedBytes = Seal(owner, plain, []);
        CryptographicOperations.ZeroMemory(plain);
        return sealedBytes;
    }

    /// <param name="owner">What the bytes belong to.</param>
    /// <param name="before">Stands in the clear before what is sealed.</param>
    internal byte[] Seal(string owner, ReadOnlySpan<byte> plain, ReadOnlySpan<byte> before)
    {
        byte[] all = new byte[before.Length + NonceBytes + TagBytes + plain.Length];
        before.CopyTo(all);
        Span<byte> nonce = all.AsSpan(before.Length, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using AesGcm cipher = new(key, TagBytes);
        cipher.Encrypt(nonce, plain, all.AsSpan(before.Length + NonceBytes + TagBytes), all.AsSpan(before.Length + NonceBytes, TagBytes), Encoding.UTF8.GetBytes(owner));
        return all;
    }

    /// <exception cref="CryptographicException">It was sealed under another key or for another owner, or changed.</exception>
    public string Unseal(string owner, ReadOnlySpan<byte> sealedBytes) => Encoding.UTF8.GetString(UnsealBytes(owner, sealedBytes));

    /// <exception cref="CryptographicException">As above.</exception>
    internal byte[] UnsealBytes(string owner, ReadOnlySpan<byte> sealedBytes)
    {
        if (sealedBytes.Length < NonceBytes + TagBytes) throw new CryptographicException("This is not a sealed secret.");
        byte[] plain = new byte[sealedBytes.Length - NonceBytes - TagBytes];
        using AesGcm cipher = new(key, TagBytes);
        cipher.Decrypt(sealedBytes[..NonceBytes], sealedBytes[(NonceBytes + TagBytes)..], sealedBytes.Slice(NonceBytes, TagBytes), plain, Encoding.UTF8.GetBytes(owner));
        return plain;
    }

    private static void Create(string file)
    {
        FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using FileStream stream = new(file, options);
        stream.Write(RandomNumberGenerator.GetBytes(KeyBytes));
        stream.Flush(flushToDisk: true);
    }
}

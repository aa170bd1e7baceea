using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Qanat.Gateway;

/// <summary>Settings that the directory keeps as JSON, read once for each state of what they belong to.</summary>
internal static class SettingsText
{
    public static TTerms Read<TOwner, TTerms>(TOwner owner, Func<TOwner, string?> settings, JsonTypeInfo<TTerms> type, Func<TOwner, TTerms> standard)
        where TOwner : class where TTerms : class =>
        Known<TOwner, TTerms>.Table.TryGetValue(owner, out TTerms? known) ? known : ReadAnew(owner, settings, type, standard);

    private static TTerms ReadAnew<TOwner, TTerms>(TOwner owner, Func<TOwner, string?> settings, JsonTypeInfo<TTerms> type, Func<TOwner, TTerms> standard)
        where TOwner : class where TTerms : class =>
        Known<TOwner, TTerms>.Table.GetValue(owner, each => settings(each) is { } text ? JsonSerializer.Deserialize(text, type)! : standard(each));

    public static string Write<T>(T terms, JsonTypeInfo<T> type) => JsonSerializer.Serialize(terms, type);

    private static class Known<TOwner, TTerms> where TOwner : class where TTerms : class
    {
        public static readonly ConditionalWeakTable<TOwner, TTerms> Table = [];
    }
}

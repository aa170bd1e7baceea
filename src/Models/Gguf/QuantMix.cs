using System.Globalization;

namespace Qanat.Models;

/// <summary>Which type each tensor of a quantised file gets; names and choices are those of llama.cpp's files, so that sizes and quality are what their names promise.</summary>
public enum QuantMix
{
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,

    /// <summary>Q4_K, with Q6_K for the output head.</summary>
    Q4_K_S,

    /// <summary>Q4_K, with Q6_K for the output head and, in about half of the layers, for attention values and the way down of the feed-forward.</summary>
    Q4_K_M,

    /// <summary>Q5_K, with Q6_K for the output head.</summary>
    Q5_K_S,

    /// <summary>As Q4_K_M, with Q5_K.</summary>
    Q5_K_M,
    Q6_K,
}

internal static class QuantMixes
{
    /// <summary>llama.cpp's number for a file that is mostly this (general.file_type).</summary>
    public static uint FileType(QuantMix mix) => mix switch
    {
        QuantMix.Q8_0 => 7,
        QuantMix.Q4_0 => 2,
        QuantMix.Q4_1 => 3,
        QuantMix.Q5_0 => 8,
        QuantMix.Q5_1 => 9,
        QuantMix.Q4_K_S => 14,
        QuantMix.Q4_K_M => 15,
        QuantMix.Q5_K_S => 16,
        QuantMix.Q5_K_M => 17,
        QuantMix.Q6_K => 18,
        _ => throw new ArgumentOutOfRangeException(nameof(mix), mix, "unknown mix"),
    };

    /// <summary>The type a tensor is written in; its own when it is better left alone (vectors, routers, short convolutions, the two rows of a head that ranks).</summary>
    /// <param name="mix">The mix.</param>
    /// <param name="tensor">As the source stores it.</param>
    /// <param name="layers">Blocks of the model.</param>
    /// <param name="tied">Whether the embedding is the output head too.</param>
    public static GgmlType TypeOf(QuantMix mix, GgufTensor tensor, int layers, bool tied)
    {
        string[] parts = tensor.Name.Split('.');
        string part = parts.Length > 2 && parts[0] == "blk" ? parts[2] : parts[0];
        if (tensor.Shape.Length < 2 || parts[^1] != "weight" || part is "ffn_gate_inp" or "ffn_gate_inp_shexp" or "ssm_conv1d" or "cls")
            return tensor.Type;
        GgmlType type = mix switch
        {
            QuantMix.Q4_K_S or QuantMix.Q4_K_M => GgmlType.Q4_K,
            QuantMix.Q5_K_S or QuantMix.Q5_K_M => GgmlType.Q5_K,
            _ => Enum.Parse<GgmlType>(mix.ToString()),
        };
        bool head = part == "output" || part == "token_embd" && tied;
        bool precious = (mix is QuantMix.Q4_K_M or QuantMix.Q5_K_M) && (part is "attn_v" or "ffn_down" or "ffn_down_exps")
            && Precious(int.Parse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture), layers);
        if (head && mix != QuantMix.Q8_0 || precious)
            type = GgmlType.Q6_K;
        return Fitting(type, tensor.Shape[0]);
    }

    /// <summary>The first and last eighth of the layers, and every third between.</summary>
    private static bool Precious(int layer, int layers) => layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;

    /// <summary>For rows that are not whole blocks, the nearest type that has smaller ones.</summary>
    private static GgmlType Fitting(GgmlType type, long inputs)
    {
        if (inputs % type.Block().Elements != 0)
            type = type switch
            {
                GgmlType.Q4_K => GgmlType.Q5_0,
                GgmlType.Q5_K => GgmlType.Q5_1,
                GgmlType.Q6_K => GgmlType.Q8_0,
                _ => GgmlType.F16,
            };
        return inputs % type.Block().Elements == 0 ? type : GgmlType.F16;
    }
}
